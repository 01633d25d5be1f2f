//! Parses durations with units from the command line.

use std::time::Duration;

use jiff::SignedDuration;

/// 100 years. A longer duration could overflow a clock.
const MAX: Duration = Duration::from_secs(876_000 * 3600);

/// Parses `500ms`, `2s`, `1m30s`, `0.5s`, and `0` without a unit.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if is_plain_number(text) {
        return Err(format!(
            "the unit is missing: write {text}s for seconds, {text}ms for milliseconds"
        ));
    }
    let advice = "write a number and a unit, such as 500ms, 2s or 1m30s";
    let duration: SignedDuration = text.parse().map_err(|_| advice)?;
    let duration = duration.try_into().map_err(|_| advice)?;
    if duration > MAX {
        return Err("the maximum is 876000h".to_owned());
    }
    Ok(duration)
}

/// Like [`parse`], but refuses 0.
pub fn parse_positive(text: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    if duration.is_zero() {
        return Err("write more than 0, such as 500ms or 10s".to_owned());
    }
    Ok(duration)
}

fn is_plain_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_parsed() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn error_for_a_missing_unit_suggests_units() {
        for text in ["5", "0.5"] {
            let advice = format!("{text}s for seconds, {text}ms");
            assert!(parse(text).unwrap_err().contains(&advice));
        }
    }

    #[test]
    fn error_for_an_invalid_duration_shows_valid_ones() {
        for text in ["", "soon", "-1s", "-5", "1 fortnight", "inf", "nan", "1e3"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("such as 500ms"), "{text:?}: {error}");
        }
    }

    #[test]
    fn durations_above_the_maximum_are_refused() {
        assert_eq!(parse("876000h"), Ok(MAX));
        for text in ["876001h", "9223372036854775807s"] {
            assert!(parse(text).unwrap_err().contains("876000h"), "{text:?}");
        }
    }

    #[test]
    fn parse_positive_refuses_zero() {
        assert!(parse_positive("0s").unwrap_err().contains("more than 0"));
        assert_eq!(parse_positive("1ms"), Ok(Duration::from_millis(1)));
    }
}
