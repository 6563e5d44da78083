//! Body bytes between the task that receives them and the host that reads them: bounded, in pieces whose memory never
//! moves, so that a host may look at bytes in place while more arrive.

use std::collections::VecDeque;

/// Size of one piece: big enough that a crossing carries many TLS records, small enough that a small response is
/// cheap.
const PIECE_BYTES: usize = 64 * 1024;
/// The first piece of a body starts this small: most bodies are.
const FIRST_PIECE_BYTES: usize = 4 * 1024;

/// With less room than this, bytes are copied into what memory there is instead of received into a piece of its own.
pub const LENT_BYTES_MIN: usize = PIECE_BYTES / 2;

/// Emptied pieces kept for bytes to come, beyond as many as a full buffer fills: the one that the host reads, and one
/// that is lent. So a body that flows takes no memory, however much of it a host takes at once.
const SPARE_PIECES: usize = 2;

/// Memory for body bytes. It stays where it is, whoever owns it.
#[derive(Debug)]
pub struct Piece {
    memory: Box<[u8]>,
    filled: usize,
}

impl Piece {
    fn new(size: usize) -> Result<Self, NoMemory> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(size).map_err(|_| NoMemory)?;
        memory.resize(size, 0);
        Ok(Self { memory: memory.into_boxed_slice(), filled: 0 })
    }

    /// A copy.
    pub fn of(bytes: &[u8]) -> Result<Self, NoMemory> {
        let mut memory = Vec::new();
        memory.try_reserve_exact(bytes.len()).map_err(|_| NoMemory)?;
        memory.extend_from_slice(bytes);
        Ok(Self { memory: memory.into_boxed_slice(), filled: bytes.len() })
    }

    /// The bytes in it.
    pub fn bytes(&self) -> &[u8] {
        &self.memory[..self.filled]
    }

    /// Where more bytes go. What is written there counts with [`add`](Self::add).
    pub fn room(&mut self) -> &mut [u8] {
        &mut self.memory[self.filled..]
    }

    /// So many bytes were written at the front of [`room`](Self::room).
    pub fn add(&mut self, count: usize) {
        self.filled = (self.filled + count).min(self.memory.len());
    }

    /// Copies in what there is room for, and says how much that was.
    fn append(&mut self, bytes: &[u8]) -> usize {
        let room = self.room();
        let part = bytes.len().min(room.len());
        room[..part].copy_from_slice(&bytes[..part]);
        self.add(part);
        part
    }

    fn left(&self) -> usize {
        self.memory.len() - self.filled
    }

    fn is_mostly_full(&self) -> bool {
        self.filled * 2 >= self.memory.len()
    }

    /// It has the size of those that are lent, and is no copy.
    fn is_lent(&self) -> bool {
        self.memory.len() == PIECE_BYTES
    }
}

/// A bounded queue of bytes.
#[derive(Debug, Default)]
pub struct BodyBuffer {
    /// The first one, of the size of a small body; gone once it is consumed.
    small: Option<Piece>,
    /// Behind it: the first `filled` hold bytes; those behind them are empty, and kept for their memory.
    pieces: VecDeque<Piece>,
    filled: usize,
    /// Consumed bytes of the oldest piece.
    offset: usize,
    len: usize,
    /// Not the first piece any more.
    grown: bool,
    /// How long the body is, if that is known.
    total: Option<u64>,
    /// Emptied pieces kept at most.
    spares_max: usize,
}

/// Memory ran out.
#[derive(Debug, PartialEq, Eq)]
pub struct NoMemory;

impl BodyBuffer {
    /// An empty one, which its owner does not fill with more than `capacity` bytes.
    pub fn new(capacity: usize) -> Self {
        let mut buffer = Self::default();
        buffer.set_capacity(capacity);
        buffer
    }

    /// Its owner fills it with more, or less, from now on.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.spares_max = capacity.div_ceil(PIECE_BYTES) + SPARE_PIECES;
    }

    /// The body will be so long: a small one gets a piece of its size.
    pub fn expect(&mut self, total: u64) {
        self.total = Some(total);
    }

    /// Appends all of `bytes`. The caller keeps the bound; see [`len`](Self::len).
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), NoMemory> {
        if !self.grown && !bytes.is_empty() {
            self.small = Some(self.first_piece(bytes.len())?);
            self.grown = true;
        }
        if let Some(small) = self.small.as_mut().filter(|_| self.filled == 0) {
            let part = small.append(bytes);
            self.len += part;
            bytes = &bytes[part..];
        }
        while !bytes.is_empty() {
            let last = self.filled.checked_sub(1).and_then(|last| self.pieces.get_mut(last));
            let part = last.map_or(0, |last| last.append(bytes));
            if part == 0 {
                if self.filled == self.pieces.len() {
                    self.pieces.push_back(Piece::new(PIECE_BYTES)?);
                } else {
                    // The one that was emptied last: the processor still has it at hand.
                    self.pieces.swap(self.filled, self.pieces.len() - 1);
                }
                self.filled += 1;
                continue;
            }
            self.len += part;
            bytes = &bytes[part..];
        }
        Ok(())
    }

    /// Memory of full size to receive into, for [`push_piece`](Self::push_piece): what was emptied last, or new.
    pub fn lend(&mut self) -> Result<Piece, NoMemory> {
        if self.pieces.len() > self.filled {
            if let Some(spare) = self.pieces.pop_back() {
                return Ok(spare);
            }
        }
        Piece::new(PIECE_BYTES)
    }

    /// Appends the bytes of a piece without a copy, unless they are few. The caller keeps the bound.
    pub fn push_piece(&mut self, piece: Piece) {
        let last = match self.filled.checked_sub(1) {
            Some(last) => self.pieces.get_mut(last),
            None => self.small.as_mut(),
        };
        let few = !piece.is_mostly_full() || !piece.is_lent();
        if let Some(last) = last.filter(|last| few && last.left() >= piece.filled) {
            self.len += last.append(piece.bytes());
            return self.keep(piece);
        }
        if piece.filled == 0 {
            return self.keep(piece);
        }
        // What comes from here on lies behind it: a small first piece would lie before it.
        self.grown = true;
        self.len += piece.filled;
        self.pieces.push_back(piece);
        self.pieces.swap(self.filled, self.pieces.len() - 1);
        self.filled += 1;
    }

    /// As a spare, if there are not enough. One of another size was copied late, and has done its work.
    fn keep(&mut self, mut piece: Piece) {
        if piece.is_lent() && self.pieces.len() - self.filled < self.spares_max {
            piece.filled = 0;
            self.pieces.push_back(piece);
        }
    }

    /// The oldest bytes, in place. They stay put until [`consume`](Self::consume).
    pub fn peek(&self) -> &[u8] {
        if let Some(small) = &self.small {
            return &small.bytes()[self.offset..];
        }
        // A spare is empty, and no byte of one was consumed.
        self.pieces.front().map_or(&[], |piece| &piece.bytes()[self.offset..])
    }

    /// Drops the oldest `count` bytes; false (and nothing dropped) if there are fewer.
    pub fn consume(&mut self, mut count: usize) -> bool {
        if count > self.len {
            return false;
        }
        self.len -= count;
        if let Some(small) = &self.small {
            let left = small.filled - self.offset;
            if count < left {
                self.offset += count;
                return true;
            }
            count -= left;
            self.offset = 0;
            self.small = None;
            if count == 0 {
                return true;
            }
        }
        while self.filled > 0 {
            let Some(front) = self.pieces.front() else { return true };
            let left = front.filled - self.offset;
            if count < left {
                self.offset += count;
                return true;
            }
            count -= left;
            self.offset = 0;
            self.filled -= 1;
            if let Some(piece) = self.pieces.pop_front() {
                self.keep(piece);
            }
            if count == 0 {
                return true;
            }
        }
        true
    }

    /// Copies out and consumes what lies in the oldest piece, so that who holds a lock meanwhile does not for long.
    pub fn read(&mut self, into: &mut [u8]) -> usize {
        let piece = self.peek();
        let part = piece.len().min(into.len());
        into[..part].copy_from_slice(&piece[..part]);
        self.consume(part);
        part
    }

    /// Bytes in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// It has had more than one piece of memory.
    pub fn has_grown(&self) -> bool {
        !self.pieces.is_empty()
    }

    /// No bytes in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn first_piece(&self, wanted: usize) -> Result<Piece, NoMemory> {
        Piece::new(match self.total {
            Some(total) if total < FIRST_PIECE_BYTES as u64 => wanted.max(total as usize),
            _ => wanted.clamp(FIRST_PIECE_BYTES, PIECE_BYTES),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: bytes come out as they went in, whatever the pieces. Method: push in odd sizes, read in other odd sizes.
    #[test]
    fn keeps_order_across_pieces() {
        let mut buffer = BodyBuffer::default();
        let all: Vec<u8> = (0..300_000u32).map(|n| (n * 7) as u8).collect();
        for part in all.chunks(7_001) {
            buffer.push(part).unwrap();
        }
        assert_eq!(buffer.len(), all.len());
        let mut out = Vec::new();
        let mut part = [0; 1_009];
        loop {
            let n = buffer.read(&mut part);
            if n == 0 {
                break;
            }
            out.extend_from_slice(&part[..n]);
        }
        assert!(out == all);
        assert!(buffer.is_empty());
    }

    /// Goal: once a buffer has been full, it takes no memory. Method: fill and drain it in parts; the pieces stay.
    #[test]
    fn a_flow_takes_no_memory() {
        let mut buffer = BodyBuffer::new(256 * 1024);
        buffer.push(b"the small first piece").unwrap();
        buffer.push(&[0; 256 * 1024 - 21]).unwrap();
        let addresses = |buffer: &BodyBuffer| {
            let mut list: Vec<_> =
                buffer.pieces.iter().map(|piece| (piece.memory.as_ptr(), piece.memory.len())).collect();
            list.sort();
            list
        };
        buffer.consume(1);
        buffer.push(&[0]).unwrap();
        let before = addresses(&buffer);
        for step in 1..2_000 {
            let part = step * 61 % buffer.len();
            buffer.consume(part);
            buffer.push(&vec![1; part]).unwrap();
        }
        assert_eq!(buffer.len(), 256 * 1024);
        let after = addresses(&buffer);
        assert!(before.iter().all(|piece| after.contains(piece)), "{before:?} {after:?}");
        assert!(after.len() <= 256 / 64 + SPARE_PIECES);
        assert!(buffer.consume(256 * 1024) && buffer.is_empty() && buffer.peek().is_empty());
        assert_eq!(addresses(&buffer), after);
    }

    /// Goal: what was copied late, little or nothing, comes in its place, and leaves no hole behind for later bytes.
    /// Method: copies between pushes; what is peeked is never empty before the end.
    #[test]
    fn late_copies_leave_no_hole() {
        let mut buffer = BodyBuffer::new(256 * 1024);
        let all: Vec<u8> = (0..2_000_000u32).map(|n| (n * 7) as u8).collect();
        let (mut at, mut out) = (0, Vec::new());
        for step in 0.. {
            let part = &all[at..(at + 4_096).min(all.len())];
            match step % 3 {
                0 => buffer.push_piece(Piece::of(&[]).unwrap()),
                1 => buffer.push_piece(Piece::of(part).unwrap()),
                _ => buffer.push(part).unwrap(),
            }
            at += if step % 3 == 0 { 0 } else { part.len() };
            let memory: usize = buffer.pieces.iter().map(|piece| piece.memory.len()).sum();
            assert!(memory <= buffer.len() * 2 + (256 / 64 + SPARE_PIECES + 1) * PIECE_BYTES);
            while buffer.len() > 100_000 || at == all.len() && !buffer.is_empty() {
                let bytes = buffer.peek();
                assert!(!bytes.is_empty(), "{} of {}", out.len(), buffer.len());
                let count = bytes.len().min(5_000);
                out.extend_from_slice(&bytes[..count]);
                buffer.consume(count);
            }
            if at == all.len() {
                break;
            }
        }
        assert!(out == all);
    }

    /// Goal: peeked memory does not move while bytes arrive. Method: compare the address before and after many
    /// pushes.
    #[test]
    fn peeked_bytes_stay_put() {
        let mut buffer = BodyBuffer::default();
        buffer.push(b"abc").unwrap();
        let address = buffer.peek().as_ptr();
        for _ in 0..1_000 {
            buffer.push(&[0; 999]).unwrap();
        }
        assert_eq!(buffer.peek().as_ptr(), address);
        assert!(!buffer.consume(usize::MAX));
        assert!(buffer.consume(3));
        assert_eq!(buffer.peek()[0], 0);
    }
}
