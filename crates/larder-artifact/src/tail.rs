//! The end of a stream: all of a short one, the last part of one that floods.

/// Keeps the last `capacity` bytes of what is pushed.
#[derive(Clone, Debug)]
pub struct Tail {
    bytes: Vec<u8>,
    capacity: usize,
    dropped: u64,
}

impl Tail {
    /// A tail of at most `capacity` bytes; takes memory only for what comes, and twice `capacity`
    /// at most.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self {
            bytes: Vec::new(),
            capacity,
            dropped: 0,
        }
    }

    /// Appends `piece` and drops from the front what is too much.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        // Moving the rest to the front only once as much again has come keeps the cost a byte
        // constant.
        if self.bytes.len() >= self.capacity.saturating_mul(2) {
            self.trim();
        }
    }

    /// What was kept, and how many bytes before it were dropped.
    #[must_use]
    pub fn finish(mut self) -> (Vec<u8>, u64) {
        self.trim();
        (self.bytes, self.dropped)
    }

    fn trim(&mut self) {
        let excess = self.bytes.len().saturating_sub(self.capacity);
        self.bytes.drain(..excess);
        self.dropped += u64::try_from(excess).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_the_end_of_everything_whatever_the_pieces(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..30),
            capacity in 0_usize..100,
        ) {
            let mut tail = Tail::new(capacity);
            for piece in &pieces {
                tail.push(piece);
                prop_assert!(tail.bytes.len() <= 2 * capacity + 40);
            }
            let whole = pieces.concat();
            let from = whole.len().saturating_sub(capacity);
            prop_assert_eq!(tail.finish(), (whole[from..].to_vec(), u64::try_from(from).unwrap()));
        }
    }
}
