use std::sync::Arc;

use serde_json::{Map, Value};

use super::{
    CommonPassword, MinimumLength, NumericPassword, PasswordValidator, UserAttributeSimilarity,
    ValidatorConfigError,
};

const MODULE: &str = "django.contrib.auth.password_validation.";

/// One entry of `AUTH_PASSWORD_VALIDATORS`.
pub(super) fn validator(
    name: &str,
    options: &Map<String, Value>,
) -> Result<Arc<dyn PasswordValidator>, ValidatorConfigError> {
    Ok(match name.strip_prefix(MODULE) {
        Some("UserAttributeSimilarityValidator") => Arc::new(similarity(name, options)?),
        Some("MinimumLengthValidator") => Arc::new(minimum_length(name, options)?),
        Some("CommonPasswordValidator") => Arc::new(common_password(name, options)?),
        Some("NumericPasswordValidator") => {
            only(name, options, &[])?;
            Arc::new(NumericPassword::new())
        }
        _ => return Err(unknown(name)),
    })
}

fn similarity(
    name: &str,
    options: &Map<String, Value>,
) -> Result<UserAttributeSimilarity, ValidatorConfigError> {
    only(name, options, &["user_attributes", "max_similarity"])?;
    let mut validator = UserAttributeSimilarity::new();
    if let Some(value) = options.get("user_attributes") {
        let names: Option<Vec<&str>> = value
            .as_array()
            .and_then(|names| names.iter().map(Value::as_str).collect());
        let names = names.ok_or_else(|| wrong("user_attributes", value, "a list of names"))?;
        validator = validator.with_user_attributes(names);
    }
    if let Some(value) = options.get("max_similarity") {
        let similarity = value.as_f64();
        let similarity = similarity.ok_or_else(|| wrong("max_similarity", value, "a number"))?;
        validator = validator.with_max_similarity(similarity)?;
    }
    Ok(validator)
}

fn minimum_length(
    name: &str,
    options: &Map<String, Value>,
) -> Result<MinimumLength, ValidatorConfigError> {
    only(name, options, &["min_length"])?;
    let validator = MinimumLength::new();
    let Some(value) = options.get("min_length") else {
        return Ok(validator);
    };
    let length = value.as_u64().and_then(|length| length.try_into().ok());
    let length = length.ok_or_else(|| wrong("min_length", value, "a number of characters"))?;
    Ok(validator.with_min_length(length))
}

fn common_password(
    name: &str,
    options: &Map<String, Value>,
) -> Result<CommonPassword, ValidatorConfigError> {
    only(name, options, &["password_list_path"])?;
    match options.get("password_list_path") {
        None => Ok(CommonPassword::new()),
        Some(Value::String(path)) => CommonPassword::from_list(path),
        Some(value) => Err(wrong("password_list_path", value, "the path of a file")),
    }
}

fn only(
    name: &str,
    options: &Map<String, Value>,
    known: &[&str],
) -> Result<(), ValidatorConfigError> {
    let Some(unknown) = options
        .keys()
        .find(|option| !known.contains(&option.as_str()))
    else {
        return Ok(());
    };
    let known = if known.is_empty() {
        "it has no options".to_owned()
    } else {
        format!("it has {}", known.join(" and "))
    };
    Err(ValidatorConfigError::new(format!(
        "{name} has no option {unknown:?}: {known}"
    )))
}

fn wrong(option: &str, value: &Value, what: &str) -> ValidatorConfigError {
    ValidatorConfigError::new(format!("{option} is {value}: write {what}"))
}

fn unknown(name: &str) -> ValidatorConfigError {
    ValidatorConfigError::new(format!(
        "{name:?} is not here: write one of UserAttributeSimilarityValidator, MinimumLengthValidator, \
         CommonPasswordValidator and NumericPasswordValidator after \"{MODULE}\". A validator of your own is given in \
         code: PasswordValidators::with"
    ))
}
