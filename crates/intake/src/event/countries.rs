//! Countries, as Foxy wants them: ISO 3166-1 alpha-2, in upper case.

/// The 249 officially assigned codes, in order.
pub(super) const CODES: [&str; 249] = [
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ", //
    "BA", "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS", "BT", "BV", "BW",
    "BY", "BZ", //
    "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN", "CO", "CR", "CU", "CV", "CW", "CX", "CY",
    "CZ", //
    "DE", "DJ", "DK", "DM", "DO", "DZ", //
    "EC", "EE", "EG", "EH", "ER", "ES", "ET", //
    "FI", "FJ", "FK", "FM", "FO", "FR", //
    "GA", "GB", "GD", "GE", "GF", "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW",
    "GY", //
    "HK", "HM", "HN", "HR", "HT", "HU", //
    "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", //
    "JE", "JM", "JO", "JP", //
    "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", //
    "LA", "LB", "LC", "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY", //
    "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK", "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT", "MU", "MV",
    "MW", "MX", "MY", "MZ", //
    "NA", "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ", //
    "OM", //
    "PA", "PE", "PF", "PG", "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", //
    "QA", //
    "RE", "RO", "RS", "RU", "RW", //
    "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS", "ST", "SV", "SX",
    "SY", "SZ", //
    "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO", "TR", "TT", "TV", "TW", "TZ", //
    "UA", "UG", "UM", "US", "UY", "UZ", //
    "VA", "VC", "VE", "VG", "VI", "VN", "VU", //
    "WF", "WS", //
    "YE", "YT", //
    "ZA", "ZM", "ZW",
];

/// Checks a country code; a code in lower case is refused with the likely cure.
pub(super) fn country(text: &str) -> Result<(), String> {
    if CODES.binary_search(&text).is_ok() {
        return Ok(());
    }
    if CODES.binary_search(&text.to_ascii_uppercase().as_str()).is_ok() {
        return Err("must be in upper case".to_owned());
    }
    if let Some(meant) = meant(&text.to_ascii_uppercase()) {
        return Err(format!("must be a country code of ISO 3166-1 alpha-2; write {meant}"));
    }
    Err("must be a country code of ISO 3166-1 alpha-2, such as US".to_owned())
}

/// The assigned code that was probably meant: for reserved codes (ISO 3166-1, exceptional reservations), and for the
/// three-letter codes and names that are most common in signup forms.
fn meant(text: &str) -> Option<&'static str> {
    Some(match text {
        "UK" | "GBR" | "ENGLAND" | "SCOTLAND" | "WALES" | "UNITED KINGDOM" | "GREAT BRITAIN" => "GB",
        "USA" | "U.S." | "U.S.A." | "UNITED STATES" | "UNITED STATES OF AMERICA" => "US",
        "EL" | "GRC" | "GREECE" => "GR",
        "CAN" | "CANADA" => "CA",
        "AUS" | "AUSTRALIA" => "AU",
        "NZL" | "NEW ZEALAND" => "NZ",
        "DEU" | "GER" | "GERMANY" => "DE",
        "FRA" | "FRANCE" => "FR",
        "ESP" | "SPAIN" => "ES",
        "ITA" | "ITALY" => "IT",
        "NLD" | "NETHERLANDS" | "THE NETHERLANDS" => "NL",
        "BEL" | "BELGIUM" => "BE",
        "CHE" | "SUI" | "SWITZERLAND" => "CH",
        "AUT" | "AUSTRIA" => "AT",
        "IRL" | "IRELAND" => "IE",
        "MEX" | "MEXICO" => "MX",
        "BRA" | "BRAZIL" => "BR",
        "JPN" | "JAPAN" => "JP",
        "IND" | "INDIA" => "IN",
        "SGP" | "SINGAPORE" => "SG",
        "HKG" | "HONG KONG" => "HK",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{CODES, country};

    #[test]
    fn the_codes_are_sorted_and_without_repeats() {
        assert!(CODES.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn only_assigned_upper_case_codes_are_countries() {
        for code in ["US", "DE", "GB", "ZW", "AX"] {
            assert_eq!(country(code), Ok(()), "{code}");
        }
        assert_eq!(country("us").unwrap_err(), "must be in upper case");
        // UK and EL are reserved, not assigned.
        for (code, meant) in [("UK", "GB"), ("usa", "US"), ("EL", "GR")] {
            let cure = format!("must be a country code of ISO 3166-1 alpha-2; write {meant}");
            assert_eq!(country(code).unwrap_err(), cure);
        }
        // EU and XK are not countries of the standard.
        for code in ["EU", "XK", "ABC", "", "U"] {
            assert_eq!(
                country(code).unwrap_err(),
                "must be a country code of ISO 3166-1 alpha-2, such as US",
                "{code}"
            );
        }
    }
}
