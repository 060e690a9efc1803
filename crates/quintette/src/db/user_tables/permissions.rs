//! The rows that Django makes when it has migrated: a content type for each model, and four permissions for each.
//!
//! `create_contenttypes` and `create_permissions` in Django, which its signal `post_migrate` calls.

use quintette_core::settings::UserModel;

/// What each model is given, and how the permission is called.
const ACTIONS: [&str; 4] = ["add", "change", "delete", "view"];

/// A model that has permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::db) struct ContentType {
    pub(in crate::db) app_label: String,
    pub(in crate::db) model: String,
    verbose_name: &'static str,
}

impl ContentType {
    /// Those of the apps whose tables are made here, in Django's order.
    pub(in crate::db) fn all(user: &UserModel) -> Vec<Self> {
        let content_type = |app_label: &str, model: &str, verbose_name| Self {
            app_label: app_label.to_owned(),
            model: model.to_owned(),
            verbose_name,
        };
        let mut all = vec![
            content_type("contenttypes", "contenttype", "content type"),
            content_type("auth", "permission", "permission"),
            content_type("auth", "group", "group"),
            content_type("sessions", "session", "session"),
        ];
        let user = content_type(user.app_label(), &user.model_name(), "user");
        let place = if user.app_label == "auth" { 3 } else { 4 };
        all.insert(place, user);
        all
    }

    /// The codenames and names of its permissions.
    pub(in crate::db) fn permissions(&self) -> [(String, String); 4] {
        ACTIONS.map(|action| {
            (
                format!("{action}_{}", self.model),
                format!("Can {action} {}", self.verbose_name),
            )
        })
    }

    /// Whether a row of this model with this codename, of those that there are, stands for one of its permissions.
    pub(in crate::db) fn is_complete(&self, there: &[(String, String, String)]) -> bool {
        self.permissions().iter().all(|(codename, _)| {
            there.iter().any(|(app_label, model, there)| {
                *app_label == self.app_label && *model == self.model && there == codename
            })
        })
    }
}

/// The permissions that there are: the app's label, the model, the codename.
pub(in crate::db) const SELECT: &str = "SELECT c.app_label, c.model, p.codename FROM auth_permission p \
    JOIN django_content_type c ON c.id = p.content_type_id";
