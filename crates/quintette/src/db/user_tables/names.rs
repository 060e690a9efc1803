use std::fmt::Write as _;

use md5::{Digest, Md5};
use quintette_core::settings::UserModel;

/// What the tables of a user model are called, with `longest` characters at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::db) struct Names {
    pub(in crate::db) user: String,
    pub(in crate::db) groups: String,
    pub(in crate::db) permissions: String,
    /// The column that names the user in the other two.
    pub(in crate::db) user_id: String,
    longest: usize,
}

impl Names {
    /// `django/db/models/options.py` and `fields/related.py`: `app_model`, and the field's name behind it.
    pub(in crate::db) fn new(model: &UserModel, longest: usize) -> Self {
        let user = model.table();
        Self {
            groups: truncated(format!("{user}_groups"), longest),
            permissions: truncated(format!("{user}_user_permissions"), longest),
            user: truncated(user, longest),
            user_id: format!("{}_id", model.model_name()),
            longest,
        }
    }

    /// Whether the users are those of Django's own model, `auth.User`.
    pub(in crate::db) fn are_djangos(&self) -> bool {
        self.user == "auth_user"
    }

    /// A statement with `{user}`, `{user_groups}`, `{user_permissions}` and `{user_id}` in it, where these names belong,
    /// between such quotation marks.
    pub(in crate::db) fn sql(&self, quote: char, template: &str) -> String {
        let mut sql = template.to_owned();
        for (mark, name) in [
            ("{user}", &self.user),
            ("{user_groups}", &self.groups),
            ("{user_permissions}", &self.permissions),
            ("{user_id}", &self.user_id),
        ] {
            if sql.contains(mark) {
                sql = sql.replace(mark, &format!("{quote}{name}{quote}"));
            }
        }
        sql
    }

    /// The name that Django gives an index or a constraint (`_create_index_name` in `django/db/backends/base/schema.py`).
    pub(in crate::db) fn index(&self, table: &str, columns: &[&str], suffix: &str) -> String {
        let mut parts = vec![table];
        parts.extend(columns);
        let mut end = format!("{}{suffix}", digest(&parts, 8));
        let columns = columns.join("_");
        let name = format!("{table}_{columns}_{end}");
        if name.chars().count() <= self.longest {
            return name;
        }
        if end.chars().count() > self.longest / 3 {
            end = cut(&end, self.longest / 3);
        }
        let other = (self.longest - end.chars().count()) / 2 - 1;
        format!("{}_{}_{end}", cut(table, other), cut(&columns, other))
    }
}

/// `truncate_name` in `django/db/backends/utils.py`.
fn truncated(name: String, longest: usize) -> String {
    if name.chars().count() <= longest {
        return name;
    }
    format!("{}{}", cut(&name, longest - 4), digest(&[&name], 4))
}

fn cut(name: &str, characters: usize) -> String {
    name.chars().take(characters).collect()
}

fn digest(parts: &[&str], digits: usize) -> String {
    let mut hash = Md5::new();
    for part in parts {
        hash.update(part);
    }
    let mut hexadecimal = String::with_capacity(32);
    for byte in hash.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(hexadecimal, "{byte:02x}");
    }
    hexadecimal.truncate(digits);
    hexadecimal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shop(longest: usize) -> Names {
        Names::new(&"shop.Customer".parse().unwrap(), longest)
    }

    // What Django 5.2 calls them.
    #[test]
    fn tables_and_indexes_are_called_as_django_calls_them() {
        let user = Names::new(&UserModel::default(), 63);
        assert_eq!(user.user, "auth_user");
        assert_eq!(user.permissions, "auth_user_user_permissions");
        assert_eq!(
            user.index(&user.groups, &["user_id", "group_id"], "_uniq"),
            "auth_user_groups_user_id_group_id_94350c0c_uniq"
        );
        let shop = shop(63);
        assert_eq!(shop.groups, "shop_customer_groups");
        assert_eq!(shop.user_id, "customer_id");
        assert_eq!(
            shop.index(&shop.user, &["username"], "_like"),
            "shop_customer_username_d8d0987f_like"
        );
    }

    #[test]
    fn long_names_are_cut_as_django_cuts_them() {
        let columns = ["customer_id", "permission_id"];
        for (longest, name) in [
            (
                63,
                "shop_customer_user_permi_customer_id_permission_i_c790b3c0_uniq",
            ),
            (
                200,
                "shop_customer_user_permissions_customer_id_permission_id_c790b3c0_uniq",
            ),
        ] {
            let names = shop(longest);
            assert_eq!(names.index(&names.permissions, &columns, "_uniq"), name);
        }
        let names = shop(64);
        assert_eq!(
            names.index(&names.permissions, &["customer_id"], "_fk_shop_customer_id"),
            "shop_customer_user_p_customer_id_bb138063_fk_shop_cust"
        );
    }
}
