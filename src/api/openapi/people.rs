//! Operations of people: their accounts and sessions, members and invitations, keys for apps; the operator's over all of them.

use serde_json::json;

use super::document::{
    Operation,
    Who::{self, AnyKey, Manager, Operator, Person, Signed},
    operation,
};

/// Members and invitations of an account: the account's own, or any for the operator.
fn organization(who: Who, tag: &'static str, paths: [&'static str; 4]) -> Vec<Operation> {
    let of = |method, path, summary| operation(method, path, who, tag, summary);
    let [members, member, invitations, invitation] = paths;
    vec![
        of("GET", members, "List members")
            .query("{offset?: int(0..4294967295), limit?: int(0..4294967295)}")
            .answers(200, "{data: Member[], total_count: int(0..)}"),
        of("GET", member, "Show a member").answers(200, "{data: Member}"),
        of("PATCH", member, "Change a member's role")
            .takes("{role: SentRole}!")
            .answers(200, "{data: Member}")
            .fails(&[409]),
        of("DELETE", member, "Take a person out of the account")
            .says("Their keys end at once.")
            .answers(200, "Deleted")
            .fails(&[409]),
        of("GET", invitations, "List invitations")
            .answers(200, "{data: Invitation[], total_count: int(0..)}"),
        of("POST", invitations, "Invite somebody")
            .takes("NewInvitation")
            .example(json!({"email": "ann@example.com", "role": "member"}))
            .answers(201, "MadeInvitation")
            .fails(&[409]),
        of("DELETE", invitation, "Take an invitation back").answers(200, "Deleted"),
    ]
}

pub fn operations() -> Vec<Operation> {
    let me = |method, path, summary| operation(method, path, Person, "People", summary);
    let mut all = vec![
        me("GET", "/me", "Show who is signed in").answers(200, "{data: Me}"),
        me("PATCH", "/me", "Change one's name, or the account that the session works in")
            .takes("{name?: string(1..128) | null, account_id?: string | null}!")
            .answers(200, "{data: Me}")
            .fails(&[404]),
        me("GET", "/me/accounts", "List one's accounts")
            .answers(200, "{data: MyAccount[], total_count: int(0..)}"),
        me("POST", "/me/accounts", "Open an account of one's own")
            .takes("{name: string(1..128)}!")
            .answers(201, "{data: {id: string, name: string, role: Role, created_at: time}}")
            .fails(&[409]),
        me("DELETE", "/me/accounts/{account}", "Leave an account").answers(200, "Deleted").fails(&[409]),
        me("GET", "/me/sessions", "List one's sessions")
            .answers(200, "{data: Session[], total_count: int(0..)}"),
        me("DELETE", "/me/sessions", "Sign out everywhere").answers(200, "Deleted"),
        me("DELETE", "/me/sessions/{id}", "Sign out one session, or `current`").answers(200, "Deleted"),
        me("POST", "/invitations/accept", "Accept an invitation")
            .takes("{token: string}!")
            .answers(200, "{data: {account_id: string, name: string, role: Role}}")
            .fails(&[404, 409]),
        operation("POST", "/auth/keys", Signed, "Apps", "Exchange a code for a key")
            .says("Once: a code that comes again ends the key that it became.")
            .takes("{code: string, code_verifier?: string | null, code_challenge_method?: 'S256' | 'plain' | null}!")
            .answers(200, "{key: string, user_id: string | null}")
            .fails(&[403, 409]),
        operation("POST", "/auth/keys/code", AnyKey, "Apps", "Make a code for an app")
            .takes("NewAppCode")
            .answers(200, "{data: {id: string, app_id: int, created_at: time}}")
            .fails(&[409]),
    ];
    all.extend(organization(
        Manager,
        "Organization",
        [
            "/organization/members",
            "/organization/members/{user}",
            "/organization/invitations",
            "/organization/invitations/{id}",
        ],
    ));
    all.extend(organization(
        Operator,
        "Operator",
        [
            "/admin/accounts/{account}/members",
            "/admin/accounts/{account}/members/{user}",
            "/admin/accounts/{account}/invitations",
            "/admin/accounts/{account}/invitations/{id}",
        ],
    ));
    let of = |method, path, summary| operation(method, path, Operator, "Operator", summary);
    let whom = "{user_id: string, email?: null}! | {email: string, user_id?: null}!";
    all.extend([
        of(
            "POST",
            "/admin/accounts/{account}/members",
            "Put somebody into an account",
        )
        .takes("{user_id?: string | null, email?: string | null, role: SentRole}!")
        .example(json!({"email": "ann@example.com", "role": "owner"}))
        .answers(201, "{data: Member}")
        .fails(&[409]),
        of("GET", "/admin/users", "List users")
            .query("{offset?: int(0..4294967295), email?: string}")
            .answers(200, "{data: User[], total_count: int(0..)}"),
        of("GET", "/admin/users/{user}", "Show a user").answers(200, "{data: User}"),
        of(
            "PATCH",
            "/admin/users/{user}",
            "Make a user an operator, or shut them out",
        )
        .takes("{operator?: boolean | null, disabled?: boolean | null}!")
        .answers(200, "{data: User}"),
        of(
            "POST",
            "/admin/login-links",
            "Make a link that signs in once",
        )
        .takes(whom)
        .example(json!({"email": "ann@example.com"}))
        .answers(
            201,
            "{data: {url: string, user_id: string, email: string | null, expires_at: time}}",
        )
        .fails(&[404]),
    ]);
    all
}
