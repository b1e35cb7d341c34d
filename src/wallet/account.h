#ifndef WALLET_ACCOUNT_H
#define WALLET_ACCOUNT_H

/*
 * Orgs, API keys and the wallet row, for readers: each function runs in a query's step or on the
 * command line. False (or an empty list) is "not there"; a store that cannot be read shows in
 * db_flush's status, which these return.
 */

#include "wallet/wallet.h"

/* An API key is "fbx_" and 43 characters of base64url (256 random bits); the store has only its
 * SHA-256 and its first 12 characters. */
#define API_KEY_SIZE       48
#define API_KEY_PREFIX_LEN 12
void api_key_make(char out[API_KEY_SIZE]);
struct digest api_key_hash(struct slice key);
MUST_USE bool api_key_looks_right(struct slice key);

/* "call", "billing", "admin", as commands and errors say them. */
const char *scope_name(enum scope scope);
/* All of them, in the order of their values; what i is past the last is 0. */
enum scope scope_at(size_t i);

struct key_view {
	struct id id;
	struct id org;
	char prefix[API_KEY_PREFIX_LEN + 1];
	char *label; /* owned by the list */
	struct walltime created;
	bool is_revoked;
	struct key_limits limits; /* passed on by rotation, as are scopes */
	unsigned scopes;
	bool is_before_scopes; /* it was made when there were none */
};

struct org_view {
	struct id id;
	char *name;
	char *email; /* NULL = none */
	struct walltime created;
	bool is_default; /* it serves callers without a key */
};

/* What is wrong with a name for an org, as static text that goes behind "NAME: "; NULL: nothing. It
 * is to be UTF-8. */
const char *org_name_fault(const char *name);

/* Each is DB_OK with *out_found false when there is none. A revoked key is none. */
MUST_USE enum db_status key_find_by_hash(struct db *db, const struct digest *hash, bool *out_found,
					 struct caller *out);
/* What a key may do or, when it is revoked, might. */
MUST_USE enum db_status key_scopes_read(struct db *db, const struct digest *hash, bool *out_found,
					unsigned *out);
MUST_USE enum db_status org_find_by_name(struct db *db, const char *name, bool *out_found,
					 struct org_view *out);
MUST_USE enum db_status org_find(struct db *db, struct id id, bool *out_found,
				 struct org_view *out);
/* The org of callers without a key; there is one as soon as a wallet has opened the store. */
MUST_USE enum db_status org_find_default(struct db *db, bool *out_found, struct org_view *out);
void org_view_finish(struct org_view *org);

struct key_list {
	struct key_view *items;
	size_t count;
};
/* Of one org (ID_NONE: all), newest first. */
MUST_USE enum db_status key_list_read(struct db *db, struct id org, struct key_list *out);
void key_list_finish(struct key_list *list);

/* What a key may still spend: the largest amount where it has no limits. */
MUST_USE enum db_status key_room_read(struct db *db, struct id key, struct microusd *out);

struct org_list {
	struct org_view *items;
	size_t count;
};
MUST_USE enum db_status org_list_read(struct db *db, struct org_list *out);
void org_list_finish(struct org_list *list);

MUST_USE enum db_status wallet_view_read(struct db *db, struct id org, bool *out_found,
					 struct wallet_view *out);

#endif
