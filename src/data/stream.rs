//! The bytes of a text in a stream: passed on, and checked on the way.
//!
//! A text is read in one pass, with a buffer of a fixed size. What is wrong with it as a whole (not
//! UTF-8, a NUL, a misplaced quote) is noted and told at the end of the pass, so a message does not
//! depend on how far a row was read before. Line ends are noted until the reader of records asks on
//! which line a record starts.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, Read};
use std::rc::Rc;

use super::dialect::Dialect;
use super::quotes::Quotes;

pub(super) const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What is wrong with a text, and on which line.
pub(super) type Wrong = (Option<u64>, &'static str);

/// A reader whose bytes are checked.
pub(super) struct Checked<R> {
    inner: R,
    /// Bytes that were looked at before they are passed on.
    ahead: VecDeque<u8>,
    text: TextCheck,
    ends: LineEnds,
    /// Packed bytes that were read, if the text is unpacked from them.
    packed: Option<Rc<Cell<u64>>>,
}

impl<R: Read> Checked<R> {
    /// Skips a byte order mark. Without a dialect, quotes are not checked.
    pub(super) fn new(mut inner: R, dialect: Option<Dialect>) -> io::Result<Self> {
        let mut first = [0; 6];
        let mut n = fill(&mut inner, &mut first[..3])?;
        let marked = first[..n] == *BYTE_ORDER_MARK;
        if marked {
            n = 0;
        }
        n += fill(&mut inner, &mut first[n..n + 3])?;
        // a second mark belongs to the text, and the reader of records skips it
        let skipped = match first[..n].starts_with(BYTE_ORDER_MARK) {
            true => BYTE_ORDER_MARK.len(),
            false => 0,
        };
        Ok(Self {
            inner,
            ahead: first[..n].iter().copied().collect(),
            text: TextCheck::new(dialect, skipped),
            ends: LineEnds::default(),
            packed: None,
        })
    }

    /// The same text, which is unpacked from bytes that are counted.
    pub(super) fn packed(self, count: Rc<Cell<u64>>) -> Self {
        let packed = Some(count);
        Self { packed, ..self }
    }

    /// Bytes of the file or source that are read where the text is read up to `byte`.
    pub(super) fn done(&self, byte: u64) -> u64 {
        self.packed.as_ref().map_or(byte, |count| count.get())
    }

    /// The line, from 1, of the first byte at or after `byte` that is not a line end. Offsets never
    /// decrease from call to call, and line ends up to there have been read.
    pub(super) fn line_at(&mut self, byte: u64) -> u64 {
        self.ends.line_at(byte)
    }

    /// Reads the rest. Returns what is wrong with the text.
    pub(super) fn finish(&mut self) -> io::Result<Option<Wrong>> {
        let mut rest = vec![0; 1 << 16];
        loop {
            self.ends.clear();
            if self.read(&mut rest)? == 0 {
                return Ok(self.text.wrong());
            }
        }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let n = match self.ahead.is_empty() {
            false => self.ahead.read(bytes)?,
            true => self.inner.read(bytes)?,
        };
        self.text.feed(&bytes[..n]);
        self.ends.feed(&bytes[..n]);
        Ok(n)
    }
}

/// Reads until the buffer is full or nothing is left.
pub(super) fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < buffer.len() {
        match reader.read(&mut buffer[n..]) {
            Ok(0) => break,
            Ok(some) => n += some,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n)
}

/// Where lines end among the bytes whose records are not asked for yet.
#[derive(Default)]
struct LineEnds {
    /// Bytes that were fed.
    fed: u64,
    after_return: bool,
    /// The offset of each byte that ends a line, and whether it ends another line than the byte
    /// before it: the second half of CR LF does not.
    ends: VecDeque<(u64, bool)>,
    /// Lines that end before the last offset that was asked for.
    lines: u64,
}

impl LineEnds {
    fn feed(&mut self, bytes: &[u8]) {
        for (offset, &byte) in (self.fed..).zip(bytes) {
            if byte == b'\n' || byte == b'\r' {
                let new = byte == b'\r' || !self.after_return;
                self.ends.push_back((offset, new));
            }
            self.after_return = byte == b'\r';
        }
        self.fed += bytes.len() as u64;
    }

    fn line_at(&mut self, byte: u64) -> u64 {
        let mut byte = byte;
        while let Some(&(at, new)) = self.ends.front()
            && at <= byte
        {
            self.lines += u64::from(new);
            // the record's first byte comes after a run of line ends
            byte = byte.max(at + 1);
            self.ends.pop_front();
        }
        self.lines + 1
    }

    fn clear(&mut self) {
        let ended = self.ends.iter().filter(|end| end.1).count();
        self.lines += ended as u64;
        self.ends.clear();
    }
}

/// What a text as a whole must be: UTF-8, without NUL, with quotes in their places.
struct TextCheck {
    /// The line of the next byte.
    line: u64,
    after_return: bool,
    /// The bytes of a character that is not complete yet.
    open: Vec<u8>,
    not_utf8: Option<u64>,
    nul: Option<u64>,
    /// True if comments are to be skipped and a line ends with CR alone: the reader of records ends
    /// a comment at a line feed alone, and would take rows for it.
    bare_return: bool,
    comments: bool,
    /// Bytes that quotes are not looked for in.
    skipped: usize,
    quotes: Option<Quotes>,
    misplaced: Option<Wrong>,
}

impl TextCheck {
    fn new(dialect: Option<Dialect>, skipped: usize) -> Self {
        Self {
            line: 1,
            after_return: false,
            open: Vec::new(),
            not_utf8: None,
            nul: None,
            bare_return: false,
            comments: dialect.is_some_and(|d| d.comment.is_some()),
            skipped,
            quotes: dialect.map(Quotes::new),
            misplaced: None,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.feed_utf8(bytes);
        for &byte in bytes {
            if self.after_return && byte != b'\n' {
                self.bare_return = true;
            }
            if byte == 0 {
                self.nul.get_or_insert(self.line);
            }
            if self.skipped > 0 {
                self.skipped -= 1;
            } else if let Some(quotes) = &mut self.quotes
                && let Some(fault) = quotes.step(byte, self.line)
            {
                self.misplaced = Some((Some(fault.at), fault.what));
                self.quotes = None;
            }
            let ends_line = byte == b'\r' || byte == b'\n' && !self.after_return;
            self.line += u64::from(ends_line);
            self.after_return = byte == b'\r';
        }
    }

    /// Notes the line of the first bytes that are no character.
    fn feed_utf8(&mut self, bytes: &[u8]) {
        if self.not_utf8.is_some() {
            return;
        }
        let mut rest = bytes;
        while !self.open.is_empty() {
            let Some((&byte, others)) = rest.split_first() else {
                return;
            };
            self.open.push(byte);
            match std::str::from_utf8(&self.open) {
                Ok(_) => self.open.clear(),
                Err(e) if e.error_len().is_none() => {}
                // the character began before these bytes, and no line ended since
                Err(_) => return self.not_utf8 = Some(self.line),
            }
            rest = others;
        }
        let Err(e) = std::str::from_utf8(rest) else {
            return;
        };
        let (valid, open) = rest.split_at(e.valid_up_to());
        if e.error_len().is_none() {
            return self.open.extend_from_slice(open);
        }
        let mut after_return = self.after_return && rest.len() == bytes.len();
        let mut lines = 0;
        for &byte in valid {
            lines += u64::from(byte == b'\r' || byte == b'\n' && !after_return);
            after_return = byte == b'\r';
        }
        self.not_utf8 = Some(self.line + lines);
    }

    /// What is wrong with all that was fed, as a whole text.
    fn wrong(&self) -> Option<Wrong> {
        let not_utf8 = self
            .not_utf8
            .or((!self.open.is_empty()).then_some(self.line));
        if let Some(line) = not_utf8 {
            return Some((Some(line), "not UTF-8 text"));
        }
        if let Some(line) = self.nul {
            return Some((Some(line), "a NUL byte: not a text file"));
        }
        if self.comments && (self.bare_return || self.after_return) {
            let what = "lines that end with CR alone, among which comments cannot be skipped";
            return Some((None, what));
        }
        let open = || self.quotes.as_ref()?.finish();
        let open = || open().map(|fault| (Some(fault.at), fault.what));
        self.misplaced.or_else(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::quotes::first_fault;
    use proptest::prelude::*;

    /// The line, from 1, of the first byte at or after `byte` that is not a line end.
    fn line_at(bytes: &[u8], byte: usize) -> u64 {
        let (mut line, mut at) = (1, 0);
        while let Some(&b) = bytes.get(at) {
            let ends_line = b == b'\n' || b == b'\r';
            if at >= byte && !ends_line {
                break;
            }
            let crlf = b == b'\r' && bytes.get(at + 1) == Some(&b'\n');
            line += u64::from(ends_line && !crlf);
            at += 1;
        }
        line
    }

    /// What is wrong with a text that is in memory.
    fn wrong(bytes: &[u8], dialect: Dialect) -> Option<Wrong> {
        let bytes = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
        let line = |at| Some(line_at(bytes, at));
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(e) => return Some((line(e.valid_up_to()), "not UTF-8 text")),
        };
        if let Some(at) = text.find('\0') {
            return Some((line(at), "a NUL byte: not a text file"));
        }
        let bare = |(i, &b): (usize, &u8)| b == b'\r' && bytes.get(i + 1) != Some(&b'\n');
        if dialect.comment.is_some() && bytes.iter().enumerate().any(bare) {
            let what = "lines that end with CR alone, among which comments cannot be skipped";
            return Some((None, what));
        }
        first_fault(bytes, dialect).map(|fault| (line(fault.at as usize), fault.what))
    }

    /// Gives so many bytes at a time.
    struct Drip<'a>(&'a [u8], usize);

    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let n = into.len().min(self.1);
            self.0.read(&mut into[..n])
        }
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => "[a,;\"#\r\n]{1,4}".prop_map(String::into_bytes),
            2 => Just(b"\r\n".to_vec()),
            1 => Just("\u{feff}".into()),
            1 => Just("é€\u{1f600}".into()),
            1 => prop_oneof![Just(vec![0]), Just(vec![0xe2, 0x82]), Just(vec![0xff])],
        ];
        prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        /// Checks and lines of a stream are those of the whole text, however it is cut.
        #[test]
        fn a_stream_says_what_the_whole_text_says(
            bytes in bytes(), chunk in 1..9usize, comments: bool
        ) {
            let dialect = Dialect {
                comment: comments.then_some(b'#'),
                ..Dialect::default()
            };
            let mut stream = Checked::new(Drip(&bytes, chunk), Some(dialect)).unwrap();
            let mut passed = Vec::new();
            stream.read_to_end(&mut passed).unwrap();
            let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
            prop_assert_eq!(&passed[..], text);
            for at in 0..=text.len() {
                prop_assert_eq!(stream.line_at(at as u64), line_at(text, at), "{}", at);
            }
            prop_assert_eq!(stream.finish().unwrap(), wrong(&bytes, dialect));
        }
    }
}
