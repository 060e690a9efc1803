use std::fmt;
use std::sync::Arc;

use minijinja::Environment;
use minijinja::value::{Value, ValueKind};
use quintette_core::settings::Settings;

use super::context::{Page, PageContext};
use super::context_processors::{ContextProcessor, DjangoProcessor, Processor, messages_shown};
use super::later::{Interruption, wait};
use super::{TemplateError, TemplateErrorKind, TemplateRequest};

/// An application's templates, and what all of them can name: Django's `Engine`. A cheap handle.
///
/// See [the module](super) for an example.
#[derive(Clone)]
pub struct Templates {
    environment: Arc<Environment<'static>>,
    settings: Arc<Settings>,
    processors: Arc<[Processor]>,
}

impl Templates {
    /// The templates of this environment, with Django's context processors `debug`, `request`, `auth`, `messages` and `csrf`.
    ///
    /// Filters, functions, syntax, loader and reloading are the environment's, as the application has set them.
    pub fn new(environment: Environment<'static>, settings: impl Into<Arc<Settings>>) -> Self {
        Self {
            environment: Arc::new(environment),
            settings: settings.into(),
            processors: DjangoProcessor::DEFAULT.map(Processor::Django).into(),
        }
    }

    /// These context processors of Django's in the place of the default ones, by their paths: what a `settings.py` has in
    /// `TEMPLATES[0]["OPTIONS"]["context_processors"]`. `csrf` is always among them, as in Django.
    ///
    /// Those that were added with [`with_processor`](Self::with_processor) stay.
    ///
    /// ```
    /// # use quintette::settings::Settings;
    /// # use quintette::templates::{Templates, minijinja::Environment};
    /// let settings = Settings::new("a secret");
    /// let templates = Templates::new(Environment::new(), settings).with_context_processors([
    ///     "django.template.context_processors.request",
    ///     "django.template.context_processors.static",
    /// ])?;
    /// # Ok::<(), quintette::templates::TemplateError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where Django has none of that path.
    pub fn with_context_processors<P: AsRef<str>>(
        mut self,
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Self, TemplateError> {
        let mut processors = vec![Processor::Django(DjangoProcessor::Csrf)];
        for path in paths {
            let processor = DjangoProcessor::from_path(path.as_ref())?;
            processors.push(Processor::Django(processor));
        }
        let own = self
            .processors
            .iter()
            .filter(|processor| matches!(processor, Processor::Own(_)));
        processors.extend(own.cloned());
        self.processors = processors.into();
        Ok(self)
    }

    /// One more context processor, of the application's own. Its values count over those of the processors before it.
    #[must_use]
    pub fn with_processor(mut self, processor: impl ContextProcessor) -> Self {
        let processor = Processor::Own(Arc::new(processor));
        self.processors = self.processors.iter().cloned().chain([processor]).collect();
        self
    }

    /// The application's environment: to render what answers no request, such as a mail.
    pub fn environment(&self) -> &Environment<'static> {
        &self.environment
    }

    /// A page: the template with the view's own values, which count over those of the context processors. Django's
    /// `render_to_string(template, context, request)`.
    ///
    /// What the processors offer is found out when the template asks for it and not before, so that what it does not name, or
    /// names where it does not come to, costs nothing. A template cannot wait: where a value has to be waited for (a session
    /// to be loaded, say), the page is begun anew once it is there. So what a template calls should have no effects, and an
    /// iterator that can be used only once is not for a page's values.
    ///
    /// ```
    /// use quintette::settings::Settings;
    /// use quintette::templates::minijinja::{Environment, context};
    /// use quintette::templates::{TemplateRequest, Templates};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut environment = Environment::new();
    /// environment.add_template("hello.html", "Hello {{ name }}, this is {{ request.path }}.")?;
    /// let templates = Templates::new(environment, Settings::new("a secret"));
    ///
    /// let request = TemplateRequest::from(&http::Request::get("/moon").body(())?);
    /// let page = templates.render(&request, "hello.html", context! { name => "Ada <3" }).await?;
    /// assert_eq!(page, "Hello Ada &lt;3, this is &#x2f;moon.");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Where there is no such template, where it is wrong, or where one of the values that it asks for cannot be had.
    ///
    /// # Cancellation
    ///
    /// The page is dropped. Messages that it was to show stay for the next one.
    pub async fn render(
        &self,
        request: &TemplateRequest,
        template: &str,
        context: impl Into<Value>,
    ) -> Result<String, TemplateError> {
        let own = context.into();
        if own.kind() == ValueKind::Invalid {
            // The only way to the error within, which is private to minijinja.
            let message =
                format!("the values for {template:?} cannot be given to a template: {own}");
            return Err(TemplateError::new(TemplateErrorKind::Template, message));
        }
        let page = Arc::new(Page::new(request.clone(), Arc::clone(&self.settings)));
        let context = PageContext::new(own, Arc::clone(&page), Arc::clone(&self.processors));
        let context = Value::from_object(context);
        let render = || {
            page.has_shown_messages(); // forgotten, where what showed them was thrown away
            self.environment
                .get_template(template)?
                .render(context.clone())
        };
        let rendered = loop {
            match page.rendering.once(render).await {
                Ok(rendered) => break rendered?,
                Err(Interruption::Failed(error)) => return Err(error),
                // Each value is waited for once, so that there is an end to it.
                Err(Interruption::Waits(value)) => wait(&*value).await,
            }
        };
        if page.has_shown_messages() {
            messages_shown(request).await?;
        }
        Ok(rendered)
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates")
            .field("processors", &self.processors)
            .finish_non_exhaustive()
    }
}
