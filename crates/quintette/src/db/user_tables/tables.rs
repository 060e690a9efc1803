use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::dialect::{Dialect, Statement};
use super::{NewUser, Permission, UserKey, UserRow, UserSessionRow, UserTables};
use crate::db::DatabaseError;

/// The lengths of our own columns, in characters.
const LONGEST_USER_AGENT: usize = 255;
const LONGEST_ADDRESS: usize = 45;

/// How many sessions of a user are read at once.
const SESSIONS_AT_ONCE: i64 = 1_000;

const SELECT_USER: &str = "SELECT id, password, last_login, is_superuser, username, first_name, last_name, email, \
    is_staff, is_active, date_joined FROM {user}";

const SELECT_SESSION: &str = "SELECT id, sealed_key, user_id, created, last_activity, user_agent, address \
    FROM quintette_user_session";

/// Those that were given to the user, and those that were given to the user's groups.
const SELECT_PERMISSIONS: &str = "SELECT c.app_label, p.codename FROM {user_permissions} m \
    JOIN auth_permission p ON p.id = m.permission_id \
    JOIN django_content_type c ON c.id = p.content_type_id WHERE m.{user_id} = ? \
    UNION SELECT c.app_label, p.codename FROM {user_groups} m \
    JOIN auth_group_permissions g ON g.group_id = m.group_id \
    JOIN auth_permission p ON p.id = g.permission_id \
    JOIN django_content_type c ON c.id = p.content_type_id WHERE m.{user_id} = ?";

/// Finds nothing, and fails where one of Django's tables is missing. Ours may be: Django's migrations do not make it.
pub(in crate::db) const LOOK: &str = "SELECT 1 FROM {user}, {user_groups}, {user_permissions}, auth_group, \
    auth_group_permissions, auth_permission, django_content_type LIMIT 0";

/// A primary key by its text, as `AutoField.to_python` reads it.
fn number(id: &str) -> Option<i64> {
    id.trim().parse().ok()
}

fn user_row<D: Dialect + ?Sized>(tables: &D, row: &D::Row) -> Result<UserRow, DatabaseError> {
    Ok(UserRow {
        id: tables.integer(row, 0)?.to_string(),
        password: tables.text(row, 1)?,
        last_login: tables.time(row, 2)?,
        is_superuser: tables.flag(row, 3)?,
        username: tables.text(row, 4)?,
        first_name: tables.text(row, 5)?,
        last_name: tables.text(row, 6)?,
        email: tables.text(row, 7)?,
        is_staff: tables.flag(row, 8)?,
        is_active: tables.flag(row, 9)?,
        date_joined: tables.time(row, 10)?.unwrap_or_default(),
    })
}

fn session_row<D: Dialect + ?Sized>(
    tables: &D,
    row: &D::Row,
) -> Result<UserSessionRow, DatabaseError> {
    Ok(UserSessionRow {
        id: tables.text(row, 0)?,
        sealed_key: tables.text(row, 1)?,
        user_id: tables.text(row, 2)?,
        created: tables.time(row, 3)?.unwrap_or_default(),
        last_activity: tables.time(row, 4)?.unwrap_or_default(),
        user_agent: tables.text(row, 5)?,
        address: tables.text(row, 6)?,
    })
}

fn permission<D: Dialect + ?Sized>(tables: &D, row: &D::Row) -> Result<Permission, DatabaseError> {
    Ok(Permission {
        app_label: tables.text(row, 0)?,
        codename: tables.text(row, 1)?,
    })
}

/// What a visitor's browser says, as every column takes it, whatever the character set of the database.
fn plain(text: &str, longest: usize) -> String {
    let is_plain = |c: &char| c.is_ascii() && !c.is_ascii_control();
    let characters = text.chars().take(longest);
    characters
        .map(|c| Some(c).filter(is_plain).unwrap_or('?'))
        .collect()
}

#[async_trait]
impl<D: Dialect> UserTables for D {
    async fn user(&self, key: UserKey<'_>) -> Result<Option<UserRow>, DatabaseError> {
        let statement = match key {
            UserKey::Id(id) => match number(id) {
                Some(id) => Statement::new(format!("{SELECT_USER} WHERE id = ?")).with(id),
                None => return Ok(None),
            },
            UserKey::Username(name) => {
                Statement::new(format!("{SELECT_USER} WHERE username = ?")).with(name)
            }
        };
        let rows = self.select(statement).await?;
        rows.first().map(|row| user_row(self, row)).transpose()
    }

    async fn users_by_email(&self, email: &str) -> Result<Vec<UserRow>, DatabaseError> {
        let statement =
            Statement::new(format!("{SELECT_USER} WHERE UPPER(email) = UPPER(?)")).with(email);
        let rows = self.select(statement).await?;
        let users = rows.iter().map(|row| user_row(self, row));
        let mut users = users.collect::<Result<Vec<_>, _>>()?;
        // Some databases take letters for equal that are different ones: a mail for one would go to the other.
        let email = email.to_lowercase();
        users.retain(|user| user.email.to_lowercase() == email);
        Ok(users)
    }

    async fn insert_user(&self, user: &NewUser) -> Result<String, DatabaseError> {
        let statement = Statement::new(
            "INSERT INTO {user} (password, last_login, is_superuser, username, first_name, last_name, email, is_staff, \
             is_active, date_joined) VALUES (?, NULL, ?, ?, ?, ?, ?, ?, ?, ?)",
        )
        .with(&user.password)
        .with(user.is_superuser)
        .with(&user.username)
        .with(&user.first_name)
        .with(&user.last_name)
        .with(&user.email)
        .with(user.is_staff)
        .with(user.is_active)
        .with(user.date_joined);
        Ok(self.insert(statement).await?.to_string())
    }

    async fn update_user(&self, user: &UserRow) -> Result<bool, DatabaseError> {
        let Some(id) = number(&user.id) else {
            return Ok(false);
        };
        let statement = Statement::new(
            "UPDATE {user} SET password = ?, last_login = ?, is_superuser = ?, username = ?, first_name = ?, \
             last_name = ?, email = ?, is_staff = ?, is_active = ?, date_joined = ? WHERE id = ?",
        )
        .with(&user.password)
        .with(user.last_login)
        .with(user.is_superuser)
        .with(&user.username)
        .with(&user.first_name)
        .with(&user.last_name)
        .with(&user.email)
        .with(user.is_staff)
        .with(user.is_active)
        .with(user.date_joined)
        .with(id);
        Ok(self.write(statement).await? > 0)
    }

    async fn set_password(&self, id: &str, encoded: &str) -> Result<bool, DatabaseError> {
        let Some(id) = number(id) else {
            return Ok(false);
        };
        let statement = Statement::new("UPDATE {user} SET password = ? WHERE id = ?")
            .with(encoded)
            .with(id);
        Ok(self.write(statement).await? > 0)
    }

    async fn replace_password(
        &self,
        id: &str,
        seen: &str,
        encoded: &str,
    ) -> Result<bool, DatabaseError> {
        let Some(id) = number(id) else {
            return Ok(false);
        };
        let statement =
            Statement::new("UPDATE {user} SET password = ? WHERE id = ? AND password = ?")
                .with(encoded)
                .with(id)
                .with(seen);
        Ok(self.write(statement).await? > 0)
    }

    async fn set_last_login(&self, id: &str, time: DateTime<Utc>) -> Result<bool, DatabaseError> {
        let Some(id) = number(id) else {
            return Ok(false);
        };
        let statement = Statement::new("UPDATE {user} SET last_login = ? WHERE id = ?")
            .with(time)
            .with(id);
        Ok(self.write(statement).await? > 0)
    }

    async fn delete_user(&self, id: &str) -> Result<bool, DatabaseError> {
        let Some(id) = number(id) else {
            return Ok(false);
        };
        let statements = [
            "DELETE FROM {user_groups} WHERE {user_id} = ?",
            "DELETE FROM {user_permissions} WHERE {user_id} = ?",
            "DELETE FROM {user} WHERE id = ?",
        ];
        let statements = statements.map(|statement| Statement::new(statement).with(id));
        Ok(self.write_all(statements.into()).await? > 0)
    }

    async fn permissions(&self, user_id: &str) -> Result<Vec<Permission>, DatabaseError> {
        let Some(id) = number(user_id) else {
            return Ok(Vec::new());
        };
        let statement = Statement::new(SELECT_PERMISSIONS).with(id).with(id);
        let rows = self.select(statement).await?;
        rows.iter().map(|row| permission(self, row)).collect()
    }

    async fn all_permissions(&self) -> Result<Vec<Permission>, DatabaseError> {
        let statement = Statement::new(
            "SELECT DISTINCT c.app_label, p.codename FROM auth_permission p \
             JOIN django_content_type c ON c.id = p.content_type_id",
        );
        let rows = self.select(statement).await?;
        rows.iter().map(|row| permission(self, row)).collect()
    }

    async fn groups(&self, user_id: &str) -> Result<Vec<String>, DatabaseError> {
        let Some(id) = number(user_id) else {
            return Ok(Vec::new());
        };
        let statement = Statement::new(
            "SELECT g.name FROM {user_groups} m JOIN auth_group g ON g.id = m.group_id \
             WHERE m.{user_id} = ? ORDER BY g.name",
        )
        .with(id);
        let rows = self.select(statement).await?;
        rows.iter().map(|row| self.text(row, 0)).collect()
    }

    async fn create_permission(
        &self,
        app_label: &str,
        model: &str,
        codename: &str,
        name: &str,
    ) -> Result<(), DatabaseError> {
        let content_type = format!(
            "INSERT INTO django_content_type (app_label, model) VALUES (?, ?) {}",
            self.on_conflict(&["app_label", "model"], &[])
        );
        let content_type = Statement::new(content_type).with(app_label).with(model);
        self.write(content_type).await?;
        let permission = format!(
            "INSERT INTO auth_permission (name, content_type_id, codename) \
             SELECT ?, c.id, ? FROM django_content_type c WHERE c.app_label = ? AND c.model = ? {}",
            self.on_conflict(&["content_type_id", "codename"], &[])
        );
        let permission = Statement::new(permission)
            .with(name)
            .with(codename)
            .with(app_label)
            .with(model);
        self.write(permission).await.map(drop)
    }

    async fn create_group(&self, name: &str) -> Result<(), DatabaseError> {
        let statement = format!(
            "INSERT INTO auth_group (name) VALUES (?) {}",
            self.on_conflict(&["name"], &[])
        );
        self.write(Statement::new(statement).with(name))
            .await
            .map(drop)
    }

    async fn grant(
        &self,
        user_id: &str,
        app_label: &str,
        codename: &str,
    ) -> Result<bool, DatabaseError> {
        let Some(id) = number(user_id) else {
            return Ok(false);
        };
        let statement = format!(
            "INSERT INTO {{user_permissions}} ({{user_id}}, permission_id) SELECT u.id, p.id FROM {{user}} u \
             CROSS JOIN auth_permission p JOIN django_content_type c ON c.id = p.content_type_id \
             WHERE u.id = ? AND c.app_label = ? AND p.codename = ? {}",
            self.on_conflict(&["{user_id}", "permission_id"], &[])
        );
        let statement = Statement::new(statement).with(id);
        Ok(self.write(statement.with(app_label).with(codename)).await? > 0)
    }

    async fn add_to_group(&self, user_id: &str, group: &str) -> Result<bool, DatabaseError> {
        let Some(id) = number(user_id) else {
            return Ok(false);
        };
        let statement = format!(
            "INSERT INTO {{user_groups}} ({{user_id}}, group_id) SELECT u.id, g.id FROM {{user}} u \
             CROSS JOIN auth_group g WHERE u.id = ? AND g.name = ? {}",
            self.on_conflict(&["{user_id}", "group_id"], &[])
        );
        let statement = Statement::new(statement).with(id).with(group);
        Ok(self.write(statement).await? > 0)
    }

    async fn grant_group(
        &self,
        group: &str,
        app_label: &str,
        codename: &str,
    ) -> Result<bool, DatabaseError> {
        let statement = format!(
            "INSERT INTO auth_group_permissions (group_id, permission_id) SELECT g.id, p.id FROM auth_group g \
             CROSS JOIN auth_permission p JOIN django_content_type c ON c.id = p.content_type_id \
             WHERE g.name = ? AND c.app_label = ? AND p.codename = ? {}",
            self.on_conflict(&["group_id", "permission_id"], &[])
        );
        let statement = Statement::new(statement).with(group);
        Ok(self.write(statement.with(app_label).with(codename)).await? > 0)
    }

    async fn record_session(&self, session: &UserSessionRow) -> Result<(), DatabaseError> {
        let statement = format!(
            "INSERT INTO quintette_user_session (id, sealed_key, user_id, created, last_activity, user_agent, address) \
             VALUES (?, ?, ?, ?, ?, ?, ?) {}",
            self.on_conflict(
                &["id"],
                &[
                    "sealed_key",
                    "user_id",
                    "last_activity",
                    "user_agent",
                    "address"
                ]
            )
        );
        let statement = Statement::new(statement)
            .with(&session.id)
            .with(&session.sealed_key)
            .with(&session.user_id)
            .with(session.created)
            .with(session.last_activity)
            .with(&plain(&session.user_agent, LONGEST_USER_AGENT))
            .with(&plain(&session.address, LONGEST_ADDRESS));
        self.write(statement).await.map(drop)
    }

    async fn session(&self, id: &str) -> Result<Option<UserSessionRow>, DatabaseError> {
        let statement = Statement::new(format!("{SELECT_SESSION} WHERE id = ?")).with(id);
        let rows = self.select(statement).await?;
        rows.first().map(|row| session_row(self, row)).transpose()
    }

    async fn sessions_of(&self, user_id: &str) -> Result<Vec<UserSessionRow>, DatabaseError> {
        let statement = Statement::new(format!(
            "{SELECT_SESSION} WHERE user_id = ? ORDER BY last_activity DESC LIMIT ?"
        ));
        let statement = statement.with(user_id).with(SESSIONS_AT_ONCE);
        let rows = self.select(statement).await?;
        rows.iter().map(|row| session_row(self, row)).collect()
    }

    async fn forget_session(&self, id: &str) -> Result<bool, DatabaseError> {
        let statement = Statement::new("DELETE FROM quintette_user_session WHERE id = ?").with(id);
        Ok(self.write(statement).await? > 0)
    }

    async fn forget_sessions_before(
        &self,
        time: DateTime<Utc>,
        limit: u32,
    ) -> Result<u64, DatabaseError> {
        let statement = Statement::new(D::FORGET_BEFORE)
            .with(time)
            .with(i64::from(limit));
        self.write(statement).await
    }
}
