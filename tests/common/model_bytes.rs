//! Model files as bytes, edited so that their checksum is right again.

use serde_json::Value;

/// The file with the JSON of its metadata edited as text.
pub fn with_json(bytes: &[u8], edit: impl FnOnce(&str) -> String) -> Vec<u8> {
    let (length, rest) = bytes.split_first_chunk::<8>().unwrap();
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let mut header: Value = serde_json::from_slice(header).unwrap();
    let json = &mut header["__metadata__"]["fiberwalk"];
    *json = edit(json.as_str().unwrap()).into();
    let mut header = header.to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    let length = (header.len() as u64).to_le_bytes();
    sealed([&length[..], &header, data].concat())
}

/// The file with the checksum of its bytes. The definition is written here once more.
pub fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 8;
    let mut words = bytes[..end].to_vec();
    words.resize(end / 8 * 8 + 8, 0);
    words.extend((end as u64).to_le_bytes());
    let sum = words.chunks_exact(8).fold(0xcbf2_9ce4_8422_2325, |h, w| {
        let h: u64 = (h ^ u64::from_le_bytes(w.try_into().unwrap())).wrapping_mul(0x100_0000_01b3);
        h ^ (h >> 32)
    });
    bytes[end..].copy_from_slice(&sum.to_le_bytes());
    bytes
}
