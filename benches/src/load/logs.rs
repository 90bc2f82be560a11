//! Log files of histograms, as the tools around HdrHistogram read them: one interval for each second.

use std::path::Path;
use std::time::Duration;

use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::IntervalLogWriterBuilder;

use crate::error::Error;
use crate::results::write_whole;

/// Writes one, with values in nanoseconds.
///
/// # Errors
/// When it cannot be written.
pub fn write(file: &Path, seconds: &[Histogram<u64>]) -> Result<(), Error> {
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("from due to completed, in nanoseconds, by the second in which it was due")
        .with_max_value_divisor(1_000_000.0)
        .begin_log_with(&mut bytes, &mut serializer)
        .map_err(crate::error::io_error("writing a log of histograms"))?;
    for (second, histogram) in (0..).zip(seconds) {
        let written = writer.write_histogram(histogram, Duration::from_secs(second), Duration::from_secs(1), None);
        written.map_err(|error| {
            crate::error::io_error("writing a log of histograms")(std::io::Error::other(format!("{error:?}")))
        })?;
    }
    write_whole(file, &bytes)
}
