//! Numbers as text, with commas between groups of three digits.

/// Up to three decimals, without trailing zeros.
pub fn format_number(value: f64) -> String {
    let text = format_decimals(value, 3);
    text.trim_end_matches('0').trim_end_matches('.').into()
}

pub fn format_decimals(value: f64, decimals: usize) -> String {
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if value < 0.0 { "−" } else { "" };
    format!("{sign}{grouped}{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_separate_groups_of_three_digits() {
        let texts = [0.0, 999.0, 1_000.0, 1_234_567.0, -19_000.0, 0.5, 1.25].map(format_number);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567", "−19,000", "0.5", "1.25"]);
    }
}
