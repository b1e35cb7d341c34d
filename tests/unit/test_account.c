/* What keys may do, how orgs are called, and what the operator lets them spend. */

#include "store.h"
#include "unit.h"

#define USD(n) ((struct microusd){INT64_C(n) * MICROUSD_PER_USD})

static struct ran make_key(struct wallet *w, struct caller caller, struct id replaces,
			   unsigned scopes, struct id *out)
{
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_KEY_CREATE, caller);

	*out = cmd->id = wallet_new_id(w);
	memcpy(cmd->hash.b, cmd->id.b, sizeof(cmd->id.b));
	cmd->prefix = xstrdup("fbx_test");
	cmd->label = xstrdup("");
	cmd->replaces = replaces;
	cmd->scopes = scopes;
	return store_run(w, cmd);
}

static unsigned scopes_of(struct wallet *w, struct id key, bool *out_is_before)
{
	struct key_list list;
	unsigned scopes = 0;

	ck_assert_int_eq(key_list_read(wallet_db(w), ID_NONE, &list), DB_OK);
	for (size_t i = 0; i < list.count; i++) {
		if (!id_eq(list.items[i].id, key))
			continue;
		scopes = list.items[i].scopes;
		*out_is_before = list.items[i].is_before_scopes;
		ck_assert(!list.items[i].is_revoked);
	}
	key_list_finish(&list);
	return scopes;
}

START_TEST(a_key_gives_no_key_more_than_it_has)
{
	struct wallet *w = store_wallet(store_new(), 100);
	struct caller owner = {.org = store_default_org(w), .scopes = SCOPES_ALL};
	struct caller agent = {.org = owner.org, .scopes = SCOPES_LOCAL};
	struct id admin, key, none;
	bool is_before = true;

	ck_assert_int_eq(make_key(w, owner, ID_NONE, SCOPES_ALL, &admin).outcome, WALLET_OK);
	ck_assert_int_eq(make_key(w, agent, ID_NONE, SCOPE_ADMIN, &none).outcome, WALLET_FORBIDDEN);
	ck_assert_int_eq(make_key(w, agent, admin, 0, &none).outcome, WALLET_FORBIDDEN);
	ck_assert_int_eq(make_key(w, agent, admin, SCOPES_ALL, &none).outcome, WALLET_FORBIDDEN);
	ck_assert_int_eq(scopes_of(w, none, &is_before), 0);
	/* The one that was not replaced is good as ever. */
	ck_assert_int_eq(scopes_of(w, admin, &is_before), SCOPES_ALL);
	ck_assert(!is_before);
	ck_assert_int_eq(make_key(w, agent, ID_NONE, SCOPE_CALL, &key).outcome, WALLET_OK);
	ck_assert_int_eq(make_key(w, agent, key, 0, &none).outcome, WALLET_OK);
	ck_assert_int_eq(scopes_of(w, none, &is_before), SCOPE_CALL);
	/* It has one successor. */
	ck_assert_int_eq(make_key(w, agent, key, 0, &admin).outcome, WALLET_GONE);
	ck_assert_int_eq(make_key(w, owner, key, SCOPES_ALL, &admin).outcome, WALLET_GONE);
	/* What is decided about a key by a key counts for one that has just been revoked, too. */
	agent.key = key;
	ck_assert_int_eq(make_key(w, agent, none, 0, &key).outcome, WALLET_UNAUTHENTICATED);
	wallet_destroy(w);
}
END_TEST

static bool is_name(const char *name)
{
	return !org_name_fault(name);
}

START_TEST(a_name_is_told_apart_from_ids_and_can_be_seen)
{
	char id[ID_TEXT_SIZE], longest[102];
	struct id_source ids;

	id_source_init(&ids);
	for (size_t i = 0; i < 4; i++) {
		static const char *const PREFIXES[] = {"org", "key", "call", "pay"};

		id_text(PREFIXES[i], id_make(&ids, clock_wall()), id);
		ck_assert_msg(!is_name(id), "%s", id);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[101] = '\0';
	ck_assert(!is_name(longest));
	longest[100] = '\0';
	ck_assert(is_name(longest));
	ck_assert(!is_name("") && !is_name(" ") && !is_name(" a") && !is_name("a "));
	ck_assert(!is_name("ORG_0f") && !is_name("Call_1") && !is_name("FBX_") &&
		  !is_name("fbx_a"));
	ck_assert(!is_name("a\nb") && !is_name("a\x7f") &&
		  !is_name("a\xc2\x9b"
			   "b"));
	ck_assert(!is_name("a\xc2\xa0") &&
		  !is_name("a\xe2\x80\xae"
			   "b") &&
		  !is_name("\xe2\x80\x8b"));
	ck_assert(!is_name("\xe2\x81\xa6x") && !is_name("\xe3\x80\x80") &&
		  !is_name("\xef\xbb\xbfx"));
	ck_assert(is_name("a b") && is_name("org") && is_name("org_") && is_name("org_acme"));
	ck_assert(is_name("callisto") && is_name("key-account") && is_name("acm\xc3\xa9"));
	/* Cut off in the middle of a character: the edge refuses it, nothing is read behind it. */
	ck_assert(is_name("a\xe2\x80") && is_name("a\xe2") && is_name("a\xef\xbb"));
}
END_TEST

static struct wallet *named_wallet(const char *path, const char *name)
{
	struct wallet_config config = {
		.store = path, .default_org = name, .is_default_named = name != NULL};

	if (!name)
		config.default_org = "default";
	ck_assert(microusd_from_tokens(&config.starter, 100));
	return wallet_create(&config);
}

static void expect_default(struct wallet *w, const char *name, struct id id)
{
	struct err err = ERR_INIT;
	struct org_view org;
	struct org_list list;
	bool is_there = false;

	ck_assert_msg(wallet_open_now(w, 1000, &err), "%s", err.text);
	ck_assert_int_eq(org_find_default(wallet_db(w), &is_there, &org), DB_OK);
	ck_assert(is_there && org.is_default);
	ck_assert_str_eq(org.name, name);
	ck_assert(id_is_none(id) || id_eq(org.id, id));
	org_view_finish(&org);
	ck_assert_int_eq(org_list_read(wallet_db(w), &list), DB_OK);
	for (size_t i = 0, n = 0; i < list.count; i++)
		ck_assert_int_le(n += list.items[i].is_default, 1);
	org_list_finish(&list);
}

START_TEST(the_default_org_is_renamed_and_stays_the_same)
{
	const char *path = store_new();
	struct wallet *a = named_wallet(path, "a"), *b = named_wallet(path, "b");
	struct id org;

	expect_default(a, "a", ID_NONE);
	org = store_default_org(a);
	expect_default(b, "b", org);
	/* The one that runs goes on with it. */
	ck_assert_int_eq(store_run(a, store_hold(a, org, 10)).outcome, WALLET_OK);
	wallet_destroy(a);
	wallet_destroy(b);
	a = named_wallet(path, NULL);
	expect_default(a, "b", org);
	store_proves_itself(a, 1);
	wallet_destroy(a);
}
END_TEST

START_TEST(the_default_org_does_not_take_anothers_name)
{
	const char *path = store_new();
	struct wallet *w = named_wallet(path, "a");
	struct wallet_cmd *cmd = wallet_cmd_create(WALLET_OP_ORG_CREATE, (struct caller){0});
	struct id org;

	expect_default(w, "a", ID_NONE);
	org = store_default_org(w);
	cmd->id = wallet_new_id(w);
	cmd->name = xstrdup("b");
	ck_assert_int_eq(store_run(w, cmd).outcome, WALLET_OK);
	ck_assert_str_eq(wallet_default_trouble(w), "");
	wallet_destroy(w);
	w = named_wallet(path, "B");
	expect_default(w, "a", org);
	ck_assert_ptr_nonnull(strstr(wallet_default_trouble(w), "'B'"));
	ck_assert_ptr_nonnull(strstr(wallet_default_trouble(w), "'a'"));
	wallet_destroy(w);
}
END_TEST

START_TEST(the_lower_of_budget_and_ceiling_holds)
{
	struct wallet_view v = {.prefs = {.has_budget = false}};

	ck_assert(!wallet_bound_prefs(&v).has_budget);
	v.has_ceiling = true;
	v.ceiling = USD(50);
	ck_assert(wallet_bound_prefs(&v).has_budget);
	ck_assert_int_eq(wallet_bound_prefs(&v).budget_limit.v, USD(50).v);
	v.prefs.has_budget = true;
	v.prefs.budget_limit = USD(80);
	ck_assert_int_eq(wallet_bound_prefs(&v).budget_limit.v, USD(50).v);
	v.prefs.budget_limit = USD(20);
	ck_assert_int_eq(wallet_bound_prefs(&v).budget_limit.v, USD(20).v);
	v.has_ceiling = false;
	v.prefs.budget_limit = USD(80);
	ck_assert_int_eq(wallet_bound_prefs(&v).budget_limit.v, USD(80).v);
}
END_TEST

UNIT_MAIN("account", a_key_gives_no_key_more_than_it_has,
	  a_name_is_told_apart_from_ids_and_can_be_seen,
	  the_default_org_is_renamed_and_stays_the_same,
	  the_default_org_does_not_take_anothers_name, the_lower_of_budget_and_ceiling_holds)
