//! Memory that starts on a cache line, so that no vector load of a row straddles two lines.

/// Bytes of a cache line, and of the widest vector.
const LINE: usize = 64;

/// A fixed number of values that start on a cache line.
#[derive(Debug, Default)]
pub(crate) struct Aligned<T> {
    memory: Vec<T>,
    start: usize,
    len: usize,
}

impl<T: Clone> Aligned<T> {
    /// `len` copies of `value`.
    pub(crate) fn filled(value: T, len: usize) -> Self {
        let slack = LINE / size_of::<T>();
        let memory = vec![value; len + slack];
        // if the offset is not available, only the alignment is lost
        let start = memory.as_ptr().align_offset(LINE).min(slack);
        Self { memory, start, len }
    }

    /// A copy of `from`.
    pub(crate) fn copied(from: &[T], zero: T) -> Self {
        let mut copy = Self::filled(zero, from.len());
        copy.as_mut_slice().clone_from_slice(from);
        copy
    }

    pub(crate) fn as_slice(&self) -> &[T] {
        &self.memory[self.start..self.start + self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.memory[self.start..self.start + self.len]
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl<T: Clone> Clone for Aligned<T> {
    /// A copy is aligned anew.
    fn clone(&self) -> Self {
        match self.memory.first() {
            Some(value) => Self::copied(self.as_slice(), value.clone()),
            None => Self {
                memory: Vec::new(),
                start: 0,
                len: 0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Aligned;

    #[test]
    fn memory_begins_a_line_and_copies_keep_what_is_in_it() {
        for len in [0, 1, 7, 16, 1000] {
            let mut a = Aligned::filled(0f32, len);
            for (i, x) in a.as_mut_slice().iter_mut().enumerate() {
                *x = i as f32;
            }
            let b = a.clone();
            assert_eq!((a.len(), a.as_slice()), (len, b.as_slice()));
            assert_eq!(a.as_slice().as_ptr().align_offset(64), 0);
            assert_eq!(b.as_slice().as_ptr().align_offset(64), 0);
        }
    }
}
