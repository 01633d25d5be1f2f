//! Durations with units on the command line.

use std::time::Duration;

use jiff::SignedDuration;

/// Reads `500ms`, `2s`, `1m30s`, `0.5s`, and plain `0`.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.parse::<f64>().is_ok() {
        return Err(format!(
            "which unit? write {text}s for seconds, {text}ms for milliseconds"
        ));
    }
    let wrong = "write a number and a unit, such as 500ms, 2s or 1m30s";
    let duration: SignedDuration = text.parse().map_err(|_| wrong)?;
    duration.try_into().map_err(|_| wrong.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn a_number_without_a_unit_is_asked_for_one() {
        assert!(parse("5").unwrap_err().contains("5s for seconds, 5ms"));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "soon", "-1s", "1 fortnight"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
