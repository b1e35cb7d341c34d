#include "providers/session_store.h"

#include "base/seal.h"
#include "base/secret.h"
#include "db/db.h"

#include <stdlib.h>
#include <string.h>

struct sessions {
	struct wallet *wallet;
	char *store;
	bool has_key;
	struct seal_key key;
};

struct sessions *sessions_create(struct wallet *wallet, const char *store)
{
	struct sessions *s = xzalloc(sizeof(*s));

	s->wallet = wallet;
	s->store = xstrdup(store);
	return s;
}

void sessions_destroy(struct sessions *s)
{
	if (!s)
		return;
	seal_key_wipe(&s->key);
	free(s->store);
	free(s);
}

static bool key_ready(struct sessions *s, struct err *err)
{
	if (!s->has_key)
		s->has_key = seal_key_read(s->store, &s->key, err);
	return s->has_key;
}

/* A sealed session that is moved to another row does not open. */
static void put_place(struct id org, const char *site, const char *account, struct buf *out)
{
	buf_append(out, &org, sizeof(org));
	buf_append(out, site, strlen(site) + 1);
	buf_append(out, account, strlen(account) + 1);
}

static void open_session(struct session_read *read, const char *account, struct slice sealed)
{
	struct buf place = BUF_INIT, text = BUF_INIT;

	read->is_found = true;
	put_place(read->org, read->site, account, &place);
	if (!key_ready(read->sessions, &read->err)) {
		err_prefix(&read->err, "the session cannot be opened");
	} else if (!unseal(&read->sessions->key, buf_slice(&place), sealed, &text)) {
		err_set(&read->err, "the session was sealed with another key: connect it again");
	} else {
		read->secret = xstrndup(buf_text(&text), text.len);
		explicit_bzero(text.p, text.len);
	}
	buf_finish(&place);
	buf_finish(&text);
}

static void session_row(void *arg, const struct db_row *row)
{
	struct session_read *read = arg;

	if (!read->is_found)
		open_session(read, db_row_text(row, "account"), db_row_blob(row, "sealed"));
}

static bool session_step(struct wallet_query *query, struct db *db)
{
	static const char sql_last[] =
		"SELECT account, sealed FROM site_session WHERE org = $1 AND site = $2 "
		"ORDER BY connected_ms DESC, account LIMIT 1";
	static const char sql_named[] = "SELECT account, sealed FROM site_session "
					"WHERE org = $1 AND site = $2 AND account = $3";
	struct session_read *read = container_of(query, struct session_read, query);
	struct db_stmt *s = db_stmt(db, read->account ? sql_named : sql_last);

	db_bind_id(s, read->org);
	db_bind_text(s, read->site);
	if (read->account)
		db_bind_text(s, read->account);
	db_queue(s, session_row, read);
	if (db_flush(db) != DB_OK)
		query->is_failed = true;
	return true;
}

static void session_done(struct wallet_query *query)
{
	struct session_read *read = container_of(query, struct session_read, query);

	read->is_failed = query->is_failed;
	read->done(read);
}

void session_read_start(struct session_read *read, struct sessions *s)
{
	read->sessions = s;
	read->query = (struct wallet_query){
		.step = session_step,
		.done = session_done,
		.deadline = read->deadline,
	};
	wallet_query(s->wallet, &read->query);
}

void session_read_finish(struct session_read *read)
{
	if (read->query.is_queued)
		wallet_query_cancel(read->sessions->wallet, &read->query);
	secret_free(read->secret);
	read->secret = NULL;
}

struct session_write {
	struct rider rider;
	struct id org;
	char *site;
	char *account;
	struct buf sealed;
	struct walltime at;
};

static void session_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char sql[] =
		"INSERT INTO site_session (org, site, account, sealed, connected_ms) "
		"VALUES ($1, $2, $3, $4, $5) ON CONFLICT (org, site, account) DO UPDATE "
		"SET sealed = excluded.sealed, connected_ms = excluded.connected_ms";
	struct session_write *w = container_of(rider, struct session_write, rider);
	struct db_stmt *s;

	/* A caller whose key was revoked meanwhile keeps nothing. */
	if (cmd->outcome != WALLET_OK)
		return;
	s = db_stmt(db, sql);
	db_bind_id(s, w->org);
	db_bind_text(s, w->site);
	db_bind_text(s, w->account);
	db_bind_blob(s, w->sealed.p, w->sealed.len);
	db_bind_walltime(s, w->at);
	db_queue_write(s, 1);
}

static void session_destroy(struct rider *rider)
{
	struct session_write *w = container_of(rider, struct session_write, rider);

	free(w->site);
	free(w->account);
	buf_finish(&w->sealed);
	free(w);
}

struct rider *session_rider(struct sessions *s, struct id org, const char *site,
			    const char *account, struct slice secret, struct walltime at,
			    struct err *err)
{
	struct buf place = BUF_INIT;
	struct session_write *w;

	if (!key_ready(s, err))
		return NULL;
	w = xzalloc(sizeof(*w));
	w->rider.apply = session_apply;
	w->rider.destroy = session_destroy;
	w->org = org;
	w->site = xstrdup(site);
	w->account = xstrdup(account);
	w->at = at;
	put_place(org, site, account, &place);
	seal(&s->key, buf_slice(&place), secret, &w->sealed);
	buf_finish(&place);
	return &w->rider;
}

static void list_row(void *arg, const struct db_row *row)
{
	struct session_list *list = arg;
	struct session_view *v;

	list->items = xrealloc_array(list->items, list->count + 1, sizeof(*list->items));
	v = &list->items[list->count++];
	v->account = xstrdup(db_row_text(row, "account"));
	v->connected = db_row_walltime(row, "connected_ms");
}

bool session_list_read(struct db *db, struct id org, const char *site, struct session_list *out)
{
	static const char sql[] = "SELECT account, connected_ms FROM site_session "
				  "WHERE org = $1 AND site = $2 ORDER BY account";
	struct db_stmt *s = db_stmt(db, sql);

	*out = (struct session_list){.items = NULL};
	db_bind_id(s, org);
	db_bind_text(s, site);
	db_queue(s, list_row, out);
	if (db_flush(db) == DB_OK)
		return true;
	session_list_finish(out);
	return false;
}

void session_list_finish(struct session_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->items[i].account);
	free(list->items);
	*list = (struct session_list){.items = NULL};
}
