//! A checksum that reveals damaged or different data: 64-bit FNV-1a (Fowler, Noll & Vo).
//!
//! `h <- (h xor byte) p`, from a fixed start. Any change of one byte changes the sum. It does not
//! protect against deliberate forgery.

/// The checksum so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksum(u64);

impl Checksum {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
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
}
