//! Checksums that reveal damaged or different data. They do not protect against deliberate forgery.
//!
//! [`Checksum`] is 64-bit FNV-1a (Fowler, Noll & Vo), `h <- (h xor byte) p` from a fixed start: of
//! checkpoints, points and data sets. [`WordSum`] takes eight bytes at a time, which is several
//! times as fast: of model files. Any change of one byte changes either sum.

const START: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// The checksum so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksum(u64);

impl Checksum {
    pub(crate) fn new() -> Self {
        Self(START)
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(PRIME);
        }
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

/// A checksum by words of eight bytes, little-endian: `h <- (h xor word) p`, then
/// `h <- h xor (h >> 32)`. The last word is filled up with zeros, and the number of bytes is one
/// word more.
///
/// Both steps are bijections of `h`, and of the word. So a change within one word always changes
/// the sum. The shift brings high bits down: a product moves them up only, and two flipped signs
/// would cancel.
#[derive(Clone, Copy, Debug)]
pub(super) struct WordSum {
    sum: u64,
    /// The start of a word that is not complete.
    part: [u8; 8],
    held: usize,
    length: u64,
}

impl WordSum {
    pub(super) fn new() -> Self {
        Self {
            sum: START,
            part: [0; 8],
            held: 0,
            length: 0,
        }
    }

    /// Adds bytes. However they are cut into pieces, the sum is the same.
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if self.held > 0 {
            let (now, later) = bytes.split_at(bytes.len().min(8 - self.held));
            self.part[self.held..self.held + now.len()].copy_from_slice(now);
            self.held += now.len();
            bytes = later;
            if self.held < 8 {
                return;
            }
            self.sum = mixed(self.sum, self.part);
        }
        let (words, rest) = bytes.as_chunks::<8>();
        self.sum = words.iter().fold(self.sum, |sum, word| mixed(sum, *word));
        self.part[..rest.len()].copy_from_slice(rest);
        self.held = rest.len();
    }

    pub(super) fn value(&self) -> u64 {
        let mut last = [0; 8];
        last[..self.held].copy_from_slice(&self.part[..self.held]);
        mixed(mixed(self.sum, last), self.length.to_le_bytes())
    }
}

fn mixed(sum: u64, word: [u8; 8]) -> u64 {
    let product = (sum ^ u64::from_le_bytes(word)).wrapping_mul(PRIME);
    product ^ (product >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_published_values() {
        // from the authors' test vectors
        for (text, want) in [
            ("", 0xcbf2_9ce4_8422_2325),
            ("a", 0xaf63_dc4c_8601_ec8c),
            ("foobar", 0x8594_4171_f739_67e8),
        ] {
            let mut sum = Checksum::new();
            sum.add(text.as_bytes());
            assert_eq!(sum.value(), want, "{text}");
        }
    }

    fn of(bytes: &[u8]) -> u64 {
        let mut sum = WordSum::new();
        sum.add(bytes);
        sum.value()
    }

    /// The oracle: all words in one list.
    #[test]
    fn words_are_summed_as_the_definition_says_however_the_bytes_are_cut() {
        let bytes: Vec<u8> = (0..61u32).map(|i| (i * i % 251) as u8).collect();
        for end in 0..bytes.len() {
            let bytes = &bytes[..end];
            let mut filled = bytes.to_vec();
            filled.resize(end / 8 * 8 + 8, 0);
            filled.extend((end as u64).to_le_bytes());
            let want = filled.chunks(8).fold(0xcbf2_9ce4_8422_2325u64, |h, word| {
                let word = u64::from_le_bytes(word.try_into().unwrap());
                let h = (h ^ word).wrapping_mul(0x0100_0000_01b3);
                h ^ (h >> 32)
            });
            assert_eq!(of(bytes), want);
            for piece in 1..20 {
                let mut sum = WordSum::new();
                bytes.chunks(piece).for_each(|piece| sum.add(piece));
                assert_eq!(sum.value(), want, "{end} bytes, {piece} at a time");
            }
        }
    }

    /// Two signs at once are what a sum without the shift would miss.
    #[test]
    fn flipped_bits_change_it_one_or_two_at_a_time() {
        let bytes = [7u8; 43];
        let whole = of(&bytes);
        let flipped = |bits: [usize; 2]| {
            let mut other = bytes;
            bits.iter().for_each(|bit| other[bit / 8] ^= 1 << (bit % 8));
            of(&other)
        };
        for i in 0..bytes.len() * 8 {
            let mut one = bytes;
            one[i / 8] ^= 1 << (i % 8);
            assert_ne!(of(&one), whole, "bit {i}");
            for j in 0..i {
                assert_ne!(flipped([i, j]), whole, "bits {i} and {j}");
            }
        }
        assert_ne!(of(&[0; 8]), of(&[0; 9]));
        assert_ne!(of(&[]), of(&[0]));
    }
}
