//! The random numbers of the server's Lua: `rand48` from a fixed start.
//!
//! The server answers for `math.random` with a generator of its own (`rand.c`) so that scripts are
//! deterministic. Functions, unlike ad-hoc scripts, do not restart it, so that the sequence runs on
//! for the life of the process. Only one function of the library asks, for its jitter.

const MULTIPLIER: u64 = 0x5_DEEC_E66D;
const INCREMENT: u64 = 0xB;
const START: u64 = 0x1234_ABCD_330E;
const MASK: u64 = (1 << 48) - 1;

/// The generator's state: 48 bits.
#[derive(Clone, Copy, Debug)]
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(START)
    }
}

impl Random {
    /// The next number: 31 bits.
    pub fn draw(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT) & MASK;
        (self.0 >> 17) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_starts_as_a_fresh_server_does() {
        let mut random = Random::default();
        assert_eq!([random.draw(), random.draw(), random.draw()], [851_401_618, 1_804_928_587, 758_783_491]);
    }
}
