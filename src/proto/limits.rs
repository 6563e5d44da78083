//! Every bound this layer keeps, by name. All of them count bytes or things a peer sends before it has earned trust.

/// The limits on what a peer may make us hold or skip. Each has a default with its reason; all can be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest response head, status line and closing blank line included.
    ///
    /// 64 KiB: servers limit their own heads to 8 to 32 KiB; large sets of cookies and security policies reach 20
    /// KiB. Values above `u32::MAX` act as `u32::MAX`, since spans are 32 bits wide.
    pub head_bytes_max: usize,
    /// Most field lines in one head.
    ///
    /// 128: everyday responses carry 10 to 40, common servers and proxies stop at 100, and each costs 16 bytes beside
    /// its text. The limit matters because look-ups by name are linear.
    pub header_count_max: usize,
    /// Most interim (1xx) responses before the final one (RFC 9110 section 15.2).
    ///
    /// 16: `100 Continue` comes once, `103 Early Hints` a few times, `102 Processing` about every 20 seconds of a
    /// slow request. Without a limit a peer could feed a request for ever while no deadline for idleness ever
    /// strikes.
    pub interim_count_max: u32,
    /// Longest chunk extension of one chunk, the padding after the size included (RFC 9112 section 7.1.1: a recipient
    /// ought to limit their length).
    ///
    /// 4 KiB: extensions in use, such as signatures of a chunk, take about 100 bytes.
    pub chunk_extension_bytes_max: usize,
    /// How far the extensions of a whole body, added up, may exceed the bytes of body received so far.
    ///
    /// 64 KiB: a sum in proportion to the body lets a long signed stream pass, while chunks of one byte behind
    /// thousands of bytes of extension, which only cost us work, end soon.
    pub chunk_extension_excess_max: u64,
    /// Longest trailer section (RFC 9112 section 7.1.2), its closing blank line included.
    ///
    /// 16 KiB: trailers are checksums, signatures and timings; it is a quarter of what a head may have.
    pub trailer_bytes_max: usize,
    /// Most field lines in a trailer section. 32: a quarter of what a head may have.
    pub trailer_count_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head_bytes_max: 64 * 1024,
            header_count_max: 128,
            interim_count_max: 16,
            chunk_extension_bytes_max: 4 * 1024,
            chunk_extension_excess_max: 64 * 1024,
            trailer_bytes_max: 16 * 1024,
            trailer_count_max: 32,
        }
    }
}
