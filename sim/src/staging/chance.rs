//! Chance for drawing sequences: a seed becomes the random choices of a strategy.

use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// What a seed draws with; the same seed draws the same values.
pub fn runner(seed: [u8; 32], config: Config) -> TestRunner {
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &seed))
}
