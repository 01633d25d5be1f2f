//! Durations with units on the command line.

use std::time::Duration;

use jiff::SignedDuration;

/// 100 years. What is longer could overflow a clock.
const LONGEST: Duration = Duration::from_secs(876_000 * 3600);

/// Reads `500ms`, `2s`, `1m30s`, `0.5s`, and plain `0`.
pub fn parse(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if is_plain_number(text) {
        return Err(format!("which unit? write {text}s for seconds, {text}ms for milliseconds"));
    }
    let wrong = "write a number and a unit, such as 500ms, 2s or 1m30s";
    let duration: SignedDuration = text.parse().map_err(|_| wrong)?;
    let duration = duration.try_into().map_err(|_| wrong)?;
    if duration > LONGEST {
        return Err("the longest is 876000h".to_owned());
    }
    Ok(duration)
}

/// Like [`parse`], for what has to take some time.
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
    fn units_are_read() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(parse("0.5s"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn a_number_without_a_unit_is_asked_for_one() {
        for text in ["5", "0.5"] {
            let advice = format!("{text}s for seconds, {text}ms");
            assert!(parse(text).unwrap_err().contains(&advice));
        }
    }

    #[test]
    fn what_is_no_duration_is_answered_with_one() {
        for text in ["", "soon", "-1s", "-5", "1 fortnight", "inf", "nan", "1e3"] {
            let error = parse(text).unwrap_err();
            assert!(error.contains("such as 500ms"), "{text:?}: {error}");
        }
    }

    #[test]
    fn what_could_overflow_a_clock_is_refused() {
        assert_eq!(parse("876000h"), Ok(LONGEST));
        for text in ["876001h", "9223372036854775807s"] {
            assert!(parse(text).unwrap_err().contains("876000h"), "{text:?}");
        }
    }

    #[test]
    fn nothing_is_refused_where_some_time_is_needed() {
        assert!(parse_positive("0s").unwrap_err().contains("more than 0"));
        assert_eq!(parse_positive("1ms"), Ok(Duration::from_millis(1)));
    }
}
