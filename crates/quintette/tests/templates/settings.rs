use quintette::settings::Settings;
use quintette::templates::minijinja::Environment;
use quintette::templates::{TemplateErrorKind, TemplateRequest, Templates};

use super::site::rendered;

const ALL: [&str; 9] = [
    "django.template.context_processors.debug",
    "django.template.context_processors.request",
    "django.template.context_processors.i18n",
    "django.template.context_processors.media",
    "django.template.context_processors.static",
    "django.template.context_processors.tz",
    "django.template.context_processors.csrf",
    "django.contrib.auth.context_processors.auth",
    "django.contrib.messages.context_processors.messages",
];

async fn page(source: &'static str, configure: impl FnOnce(&mut Settings)) -> String {
    let mut settings = Settings::new("a secret");
    configure(&mut settings);
    let mut environment = Environment::new();
    environment.add_template("page.html", source).unwrap();
    let templates = Templates::new(environment, settings);
    let templates = templates.with_context_processors(ALL).unwrap();
    let request = TemplateRequest::from(&http::Request::new(()));
    let page = templates.render(&request, "page.html", ()).await.unwrap();
    page.replace("&#x2f;", "/")
}

#[tokio::test]
async fn settings_are_named_in_templates() {
    const PAGE: &str = "{{ STATIC_URL }} {{ MEDIA_URL }} {{ TIME_ZONE }} {{ LANGUAGE_CODE }} {{ LANGUAGE_BIDI }} \
                        {{ LANGUAGES|length > 90 }}{% for code, name in LANGUAGES if code == 'fr' %} {{ name }}{% endfor %}";
    assert_eq!(
        page(PAGE, |settings| {
            settings.static_url = Some("static/".to_owned());
            settings.media_url = "https://cdn.example/m/".to_owned();
            settings.time_zone = "Asia/Seoul".parse().unwrap();
            settings.language_code = "ar-eg".to_owned();
        })
        .await,
        "/static/ https://cdn.example/m/ Asia/Seoul ar-eg True True French"
    );
    assert_eq!(
        page(PAGE, |_| {}).await,
        "None / America/Chicago en-us False True French"
    );
}

#[tokio::test]
async fn a_static_file_has_its_address() {
    let page = page(
        "{{ static('css/a b.css') }} {{ static('x\"y') }}",
        |settings| {
            settings.static_url = Some("/s/".to_owned());
        },
    );
    assert_eq!(page.await, "/s/css/a%20b.css /s/x%22y");
}

#[tokio::test]
async fn by_default_those_of_a_new_django_project_are_there() {
    let page = rendered(
        "[{{ STATIC_URL }}{{ MEDIA_URL }}{{ TIME_ZONE }}{{ LANGUAGE_CODE }}] {{ debug }} {{ request.method }} {{ user }}",
    );
    assert_eq!(page.await, "[] False GET AnonymousUser");
}

#[test]
fn a_processor_that_django_does_not_have_is_an_error_that_names_those_it_has() {
    let templates = Templates::new(Environment::new(), Settings::new("a secret"));
    let error = templates
        .with_context_processors(["shop.context_processors.cart"])
        .unwrap_err();
    assert_eq!(error.kind(), TemplateErrorKind::Misconfigured);
    let text = error.to_string();
    assert!(text.contains("shop.context_processors.cart"), "{text}");
    assert!(ALL.iter().all(|path| text.contains(path)), "{text}");
}
