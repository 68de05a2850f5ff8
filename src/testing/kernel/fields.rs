//! State written through [`Fields`], as names and bits, and read back.

use crate::error::{Error, Result, counted};
use crate::scalar::Scalar;
use crate::walk::Fields;

/// State that was saved: the name of each field, and its entries as bits of f64 or as counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SavedState {
    /// In the order in which they were visited.
    pub fields: Vec<(String, Vec<u64>)>,
}

impl SavedState {
    /// A reader from the start.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader {
            rest: self.fields.iter(),
        }
    }

    /// The first difference: a field and an entry.
    pub(super) fn differs(&self, other: &Self) -> Option<String> {
        let (a, b) = (&self.fields, &other.fields);
        if a.len() != b.len() {
            return Some(format!("{} and {}", counted(a.len(), "field"), b.len()));
        }
        a.iter().zip(b).enumerate().find_map(|(i, (a, b))| {
            let entry = a.1.iter().zip(&b.1).position(|(a, b)| a != b);
            match entry {
                _ if a.0 != b.0 => Some(format!("'{}' and '{}' as field {i}", a.0, b.0)),
                None if a.1.len() == b.1.len() => None,
                None => Some(format!(
                    "lengths {} and {} of '{}'",
                    a.1.len(),
                    b.1.len(),
                    a.0
                )),
                Some(e) => Some(format!(
                    "bits {:016x} and {:016x} in entry {e} of '{}', field {i}",
                    a.1[e], b.1[e], a.0
                )),
            }
        })
    }
}

/// Writes; what is visited does not change.
impl<T: Scalar> Fields<T> for SavedState {
    fn vector(&mut self, name: &str, value: &mut Vec<T>) -> Result<()> {
        let bits = value.iter().map(|x| x.to_f64().to_bits()).collect();
        self.fields.push((name.to_string(), bits));
        Ok(())
    }

    fn numbers(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        let bits = value.iter().map(|x| x.to_bits()).collect();
        self.fields.push((name.to_string(), bits));
        Ok(())
    }

    fn counts(&mut self, name: &str, value: &mut Vec<usize>) -> Result<()> {
        let counts = value.iter().map(|&n| n as u64).collect();
        self.fields.push((name.to_string(), counts));
        Ok(())
    }
}

/// Reads what was written, in the same order.
pub(super) struct Reader<'a> {
    rest: std::slice::Iter<'a, (String, Vec<u64>)>,
}

impl<'a> Reader<'a> {
    /// True if everything was read.
    pub fn is_done(&self) -> bool {
        self.rest.as_slice().is_empty()
    }

    fn next(&mut self, name: &str) -> Result<&'a [u64]> {
        match self.rest.next() {
            Some((saved, bits)) if saved == name => Ok(bits),
            other => {
                let got = other.map_or("the end".into(), |(saved, _)| format!("field '{saved}'"));
                Err(Error::shape("SavedState", format!("field '{name}'"), got))
            }
        }
    }
}

impl<T: Scalar> Fields<T> for Reader<'_> {
    fn vector(&mut self, name: &str, value: &mut Vec<T>) -> Result<()> {
        let bits = self.next(name)?.iter();
        *value = bits.map(|&b| T::from_f64(f64::from_bits(b))).collect();
        Ok(())
    }

    fn numbers(&mut self, name: &str, value: &mut Vec<f64>) -> Result<()> {
        *value = self
            .next(name)?
            .iter()
            .map(|&b| f64::from_bits(b))
            .collect();
        Ok(())
    }

    fn counts(&mut self, name: &str, value: &mut Vec<usize>) -> Result<()> {
        *value = self.next(name)?.iter().map(|&n| n as usize).collect();
        Ok(())
    }
}
