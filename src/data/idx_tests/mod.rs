//! Tests IDX files: ones that are written and read back, and damaged ones.

mod pairs;

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tempfile::NamedTempFile;

use super::*;
use crate::error::Result;

/// A file with the given type, extents and elements, following the format's description.
fn idx(code: u8, shape: &[u32], elements: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, code, shape.len() as u8];
    shape
        .iter()
        .for_each(|extent| bytes.extend(extent.to_be_bytes()));
    bytes.extend(elements);
    bytes
}

fn zip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn file(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn read(bytes: &[u8]) -> Result<IdxArray> {
    read_idx(file(bytes).path(), None)
}

/// The error message without the file's name, with which it must begin.
fn message(bytes: &[u8]) -> String {
    let file = file(bytes);
    let text = read_idx(file.path(), None).unwrap_err().to_string();
    let name = format!("{}: ", file.path().display());
    text.strip_prefix(&name)
        .unwrap_or_else(|| panic!("{text}"))
        .into()
}

#[test]
fn elements_of_every_type_keep_their_value() {
    let cases: [(IdxType, Vec<u8>, Vec<f64>); 6] = [
        (IdxType::U8, vec![0, 127, 255], vec![0., 127., 255.]),
        (IdxType::I8, vec![0, 127, 255], vec![0., 127., -1.]),
        (
            IdxType::I16,
            vec![1, 2, 255, 254, 128, 0],
            vec![258., -2., -32768.],
        ),
        (
            IdxType::I32,
            [1i32, -2, i32::MIN].map(i32::to_be_bytes).concat(),
            vec![1., -2., -2147483648.],
        ),
        (
            IdxType::F32,
            [0.5f32, -3e30, 1e-40].map(f32::to_be_bytes).concat(),
            vec![0.5, f64::from(-3e30f32), f64::from(1e-40f32)],
        ),
        (
            IdxType::F64,
            [0.1f64, -3e300, 5e-324].map(f64::to_be_bytes).concat(),
            vec![0.1, -3e300, 5e-324],
        ),
    ];
    for (element, bytes, values) in cases {
        assert_eq!(bytes.len(), 3 * element.width());
        let content = idx(element.code(), &[3], &bytes);
        for content in [zip(&content), content] {
            let array = read(&content).unwrap();
            assert_eq!((array.element(), array.shape()), (element, &[3][..]));
            assert_eq!(array.values(), values, "{element:?}");
        }
    }
}

#[test]
fn only_the_records_asked_for_are_kept_but_all_are_checked() {
    let content = idx(8, &[4, 1, 2], &[1, 2, 3, 4, 5, 6, 7, 8]);
    for content in [zip(&content), content] {
        let file = file(&content);
        let take = |most| read_idx(file.path(), Some(most)).unwrap();
        assert_eq!(take(2).values(), [1., 2., 3., 4.]);
        assert_eq!((take(2).records(), take(2).shape()), (2, &[4, 1, 2][..]));
        assert_eq!((take(9).records(), take(9).values().len()), (4, 8));
        assert!(take(0).values().is_empty());
    }
    let cut = file(&idx(8, &[4, 1, 2], &[1, 2, 3, 4, 5, 6, 7]));
    assert!(read_idx(cut.path(), Some(1)).is_err());
    let long = file(&idx(8, &[4, 1, 2], &[0; 9]));
    assert!(read_idx(long.path(), Some(1)).is_err());
}

#[test]
fn what_is_wrong_is_said_with_its_byte() {
    let cases: [(Vec<u8>, &[&str]); 11] = [
        (vec![], &["byte 0", "not an IDX file", "nothing"]),
        (vec![0, 0, 8], &["byte 0", "00 00 08"]),
        (b"a,b\n".to_vec(), &["byte 0", "61 2c 62 0a"]),
        (idx(10, &[1], &[1]), &["byte 2", "type 10"]),
        (idx(8, &[], &[1]), &["byte 3", "rank 0"]),
        (
            idx(8, &[1, 2], &[])[..11].to_vec(),
            &["byte 11", "2 extents"],
        ),
        (
            idx(8, &[3, 2], &[1, 2, 3]),
            &["byte 15", "record 1", "3x2 of u8", "18 bytes"],
        ),
        (
            idx(13, &[2], &[0; 7]),
            &["byte 15", "record 1", "2 of f32", "16 bytes"],
        ),
        (
            idx(8, &[3], &[1, 2, 3, 4]),
            &["byte 11", "after the end", "3 of u8"],
        ),
        (
            idx(8, &[u32::MAX; 3], &[]),
            &["bytes 4 to 16", "more than can be counted"],
        ),
        (
            idx(8, &[1 << 30], &[1]),
            &["byte 9", "record 1", "promises"],
        ),
    ];
    for (bytes, words) in cases {
        for word in words {
            let error = message(&bytes);
            assert!(error.contains(word), "'{word}' is not in: {error}");
            // the same message for the content of a gzip file
            let error = message(&zip(&bytes));
            assert!(error.contains(word), "'{word}' is not in: {error}");
        }
    }
}

/// The length of a plain file gives a false promise away. That of a gzip file does not.
#[test]
fn a_promise_beyond_what_is_kept_is_held_against_the_length() {
    let content = idx(8, &[u32::MAX], &[1]);
    let plain = message(&content);
    assert!(plain.contains("ends after byte 9, in record 1"), "{plain}");
    let zipped = message(&zip(&content));
    assert!(zipped.contains("more than 2^30"), "{zipped}");
}

#[test]
fn gzip_is_bounded_by_the_header_and_must_be_whole() {
    // 64 MiB of zeros in 64 KiB of file; the header promises 10 of them
    let bomb = zip(&idx(8, &[10], &vec![0; 1 << 26]));
    assert!(bomb.len() < 1 << 20);
    assert!(message(&bomb).contains("byte 18: data after the end"));
    let whole = zip(&idx(8, &[3], &[1, 2, 3]));
    let trailing = [&whole[..], b"x"].concat();
    assert!(
        message(&trailing).contains("gzip"),
        "{}",
        message(&trailing)
    );
    // consecutive gzip members form one content
    let parts = [zip(&idx(8, &[3], &[1])), zip(&[2, 3])].concat();
    assert_eq!(read(&parts).unwrap().values(), [1., 2., 3.]);
    // the checksum is verified
    let mut damaged = whole.clone();
    let at = damaged.len() - 8;
    damaged[at] ^= 1;
    assert!(message(&damaged).contains("damaged"));
    for cut in 0..whole.len() {
        assert!(read(&whole[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn files_are_recognised_by_content() {
    let looks = |bytes: &[u8]| looks_like_idx(file(bytes).path()).unwrap();
    let content = idx(8, &[1], &[1]);
    assert!(looks(&content) && looks(&zip(&content)));
    // a table in gzip is a table; a damaged file is left to the reader's message
    assert!(!looks(&zip(b"a,b\n1,2\n")) && looks(&zip(&content)[..12]));
    assert!(!looks(b"a,b\n1,2\n") && !looks(b"") && !looks(b"\xef\xbb\xbfa"));
    assert!(looks_like_idx("/nonexistent/x".as_ref()).is_err());
    assert!(read_idx("/nonexistent/x".as_ref(), None).is_err());
    assert!(read_idx(std::env::temp_dir().as_ref(), None).is_err());
}

fn any_array() -> impl Strategy<Value = (u8, Vec<u32>, Vec<u8>)> {
    let element = prop::sample::select(IdxType::ALL.to_vec());
    (element, prop::collection::vec(0u32..4, 1..5)).prop_flat_map(|(element, shape)| {
        let count = shape.iter().product::<u32>() as usize * element.width();
        let bytes = prop::collection::vec(any::<u8>(), count);
        (Just(element.code()), Just(shape), bytes)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn what_is_written_is_read((code, shape, elements) in any_array(), zipped: bool) {
        let content = idx(code, &shape, &elements);
        let array = read(&if zipped { zip(&content) } else { content }).unwrap();
        let extents: Vec<usize> = shape.iter().map(|&x| x as usize).collect();
        prop_assert_eq!(array.shape(), extents);
        prop_assert_eq!((array.element().code(), array.records()), (code, shape[0] as usize));
        // convert back to bytes: every value must be the one that was written
        let back: Vec<u8> = array.values().iter().flat_map(|&v| match array.element() {
            IdxType::U8 => vec![v as u8],
            IdxType::I8 => vec![v as i8 as u8],
            IdxType::I16 => (v as i16).to_be_bytes().to_vec(),
            IdxType::I32 => (v as i32).to_be_bytes().to_vec(),
            IdxType::F32 => (v as f32).to_be_bytes().to_vec(),
            IdxType::F64 => v.to_be_bytes().to_vec(),
        }).collect();
        if !array.values().iter().any(|v| v.is_nan()) {
            prop_assert_eq!(back, elements);
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_refused((code, shape, elements) in any_array(), zipped: bool) {
        let content = idx(code, &shape, &elements);
        let content = if zipped { zip(&content) } else { content };
        for cut in 0..content.len() {
            prop_assert!(read(&content[..cut]).is_err(), "cut at {}", cut);
        }
        prop_assert!(read(&[&content[..], &[0]].concat()).is_err(), "a byte too many");
    }

    /// Flipped bytes give other numbers or an error. They never cause a panic, and never use more
    /// memory than the file accounts for.
    #[test]
    fn flipped_bytes_never_panic(
        (code, shape, elements) in any_array(),
        zipped: bool,
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..=255), 1..4),
    ) {
        let content = idx(code, &shape, &elements);
        let mut content = if zipped { zip(&content) } else { content };
        for (at, bits) in flips {
            let at = at.index(content.len());
            content[at] ^= bits;
        }
        let (images, labels) = (file(&content), file(&idx(8, &[2], &[0, 1])));
        if let Ok(array) = read_idx(images.path(), None) {
            // deflate expands one byte to at most 1,032
            let room = if content.starts_with(&[0x1f, 0x8b]) { 1_032 } else { 1 };
            prop_assert!(array.values().len() <= room * content.len());
        }
        let _ = load_images(images.path(), Some(2));
        let _ = load_idx(images.path(), labels.path(), &IdxOptions::default());
        let _ = load_idx(labels.path(), images.path(), &IdxOptions::default());
    }
}
