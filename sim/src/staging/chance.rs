//! Chance for drawing sequences: a seed becomes the random choices of a strategy.

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// A seed's number as the bytes that chance begins with.
pub fn bytes_of(seed: u64) -> [u8; 32] {
    std::array::from_fn(|position| seed.to_be_bytes()[position % 8])
}

/// What a seed draws with; the same seed draws the same values.
pub fn runner(seed: [u8; 32], config: Config) -> TestRunner {
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}
