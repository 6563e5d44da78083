//! From the errors of the layers below to the statuses of the C API, each in one place.

use super::status::Status;
use crate::proto::ProtocolError;
use crate::tls::TlsError;

/// The status of what the peer's bytes were guilty of.
pub fn protocol_status(error: &ProtocolError) -> Status {
    use ProtocolError as P;
    match error {
        P::PeerSpeaksTls => Status::TlsOnPlainPort,
        P::PeerSpeaksHttp2 | P::NotHttp { .. } | P::LeadingEmptyLine | P::VersionUnsupported => Status::NotHttp,
        P::ContentLengthInvalid | P::ContentLengthOverflow => Status::LengthMalformed,
        P::ChunkSizeInvalid { .. }
        | P::ChunkSizeOverflow
        | P::ChunkExtensionInvalid { .. }
        | P::ChunkLineEnd { .. } => Status::ChunkMalformed,
        P::ContentLengthConflict { .. }
        | P::LengthAndTransferEncoding
        | P::TransferEncodingInHttp10
        | P::TransferEncodingUnsupported
        | P::BodyForbidden { .. } => Status::FramingConflict,
        P::LocationConflict => Status::BadRedirect,
        P::UpgradeUnasked => Status::UnaskedUpgrade,
        P::HeadTruncated { .. } => Status::ConnectionLost,
        P::BodyTruncated { .. } => Status::BodyTruncated,
        P::HeadTooLarge { .. } => Status::HeadTooLarge,
        P::HeadersTooMany { .. } => Status::TooManyHeaders,
        P::InterimTooMany { .. } => Status::TooManyInterim,
        P::ChunkExtensionTooLong { .. }
        | P::ChunkExtensionsTooMany { .. }
        | P::TrailersTooLarge { .. }
        | P::TrailersTooMany { .. } => Status::ChunkTooLarge,
        P::NoMemory { .. } => Status::NoMemory,
        // The rest are faults of the status line and of field lines.
        _ => Status::HeadMalformed,
    }
}

/// The status of a failed handshake or a broken TLS stream.
pub fn tls_status(error: &TlsError) -> Status {
    use TlsError as T;
    match error {
        T::CertificateExpired => Status::TlsExpired,
        T::CertificateNotYetValid => Status::TlsNotYetValid,
        T::WrongHost { .. } => Status::TlsWrongHost,
        T::UnknownIssuer => Status::TlsUnknownCa,
        T::SelfSigned => Status::TlsSelfSigned,
        T::OtherCertificate(_) => Status::TlsCertificate,
        T::NotTls(_) => Status::TlsNotTls,
        T::AlertReceived { .. } => Status::TlsAlert,
        T::ClosedInHandshake => Status::TlsClosed,
        T::PeerIncompatible(_) | T::NoCommonProtocol(_) => Status::TlsIncompatible,
        T::PeerMisbehaved(_) => Status::TlsPeer,
        T::PemInvalid(_) | T::NoTrust(_) => Status::CaPem,
        T::BadServerName => Status::UrlHost,
        T::NoMemory => Status::NoMemory,
        T::Unavailable => Status::TlsUnavailable,
        _ => Status::Internal,
    }
}
