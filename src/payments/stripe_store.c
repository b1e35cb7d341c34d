#include "payments/stripe_store.h"

#include "base/limits.h"
#include "wallet/account.h"

#include <stdlib.h>
#include <string.h>

static void replace(char **text, const char *by)
{
	char *copy = by ? xstrdup(by) : NULL;

	free(*text);
	*text = copy;
}

struct kept {
	struct request_keep *keep;
	bool is_there;
};

static void read_kept(void *arg, const struct db_row *row)
{
	struct kept *kept = arg;

	kept->is_there = true;
	replace(&kept->keep->path, db_row_text(row, "path"));
	replace(&kept->keep->body, db_row_text(row, "body"));
	kept->keep->created = db_row_walltime(row, "created_ms");
	kept->keep->sent = db_row_walltime(row, "last_ms");
}

/* Whether the till surely knows the key yet. The clock may have been set back since: what was kept
 * in the future is of an unknown age. */
static bool is_fresh(struct walltime kept, struct walltime now)
{
	int64_t age_ms = now.ms - kept.ms;

	return age_ms > -TILL_MARGIN_MS && age_ms < TILL_REPLAY_MS;
}

/* They go out once more. */
static void write_sent(struct db *db, const struct request_keep *keep, struct walltime now)
{
	static const char SQL[] = "UPDATE gateway_request SET sent_ms = $1 "
				  "WHERE gateway = $2 AND key = $3";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_walltime(s, now);
	db_bind_text(s, keep->gateway);
	db_bind_text(s, keep->key);
	db_queue_write(s, 1);
}

static void keep_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char FIND[] = "SELECT path, body, created_ms, COALESCE(sent_ms, created_ms) "
				   "AS last_ms FROM gateway_request "
				   "WHERE gateway = $1 AND key = $2";
	static const char INSERT[] =
		"INSERT INTO gateway_request (gateway, key, path, body, created_ms) "
		"VALUES ($1, $2, $3, $4, $5)";
	struct request_keep *keep = container_of(rider, struct request_keep, rider);
	struct kept kept = {.keep = keep};
	struct db_stmt *s = db_stmt(db, FIND);

	(void)cmd;
	keep->sent = keep->now;
	db_bind_text(s, keep->gateway);
	db_bind_text(s, keep->key);
	db_queue(s, read_kept, &kept);
	db_wait(db);
	keep->is_repeat = kept.is_there;
	keep->is_stale = kept.is_there && !is_fresh(keep->created, keep->now);
	if (kept.is_there && !keep->is_stale)
		write_sent(db, keep, keep->now);
	if (kept.is_there)
		return;
	s = db_stmt(db, INSERT);
	db_bind_text(s, keep->gateway);
	db_bind_text(s, keep->key);
	db_bind_text(s, keep->path);
	db_bind_text(s, keep->body);
	db_bind_walltime(s, keep->created);
	db_queue_write(s, 1);
}

static void keep_destroy(struct rider *rider)
{
	struct request_keep *keep = container_of(rider, struct request_keep, rider);

	free(keep->key);
	free(keep->path);
	free(keep->body);
	free(keep);
}

struct request_keep *request_keep_create(const char *gateway, const char *key, const char *path,
					 struct slice body, struct walltime now)
{
	struct request_keep *keep = xzalloc(sizeof(*keep));

	keep->rider = (struct rider){.apply = keep_apply, .destroy = keep_destroy};
	keep->gateway = gateway;
	keep->key = xstrdup(key);
	keep->path = xstrdup(path);
	keep->body = xasprintf("%.*s", (int)body.len, body.len ? body.p : "");
	keep->created = keep->now = now;
	return keep;
}

struct customer_row {
	struct customer_keep *keep;
	bool is_there;
	int64_t attempt;
	char *customer; /* owned */
};

static void read_customer(void *arg, const struct db_row *row)
{
	struct customer_row *out = arg;

	out->is_there = true;
	out->attempt = db_row_i64(row, "attempt");
	replace(&out->customer, db_row_text(row, "customer"));
}

static void write_customer(struct db *db, const struct customer_keep *keep)
{
	static const char SQL[] =
		"INSERT INTO gateway_customer (gateway, org, customer, email, attempt) "
		"VALUES ($1, $2, $3, $4, $5) ON CONFLICT (gateway, org) DO UPDATE SET "
		"customer = excluded.customer, email = excluded.email, "
		"attempt = excluded.attempt";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_text(s, keep->gateway);
	db_bind_id(s, keep->org);
	db_bind_text(s, keep->customer);
	db_bind_text(s, keep->email);
	db_bind_i64(s, keep->attempt);
	db_queue_write(s, 1);
}

static void customer_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char FIND[] = "SELECT customer, attempt FROM gateway_customer "
				   "WHERE gateway = $1 AND org = $2";
	struct customer_keep *keep = container_of(rider, struct customer_keep, rider);
	struct customer_row row = {.keep = keep};
	struct db_stmt *s = db_stmt(db, FIND);

	(void)cmd;
	db_bind_text(s, keep->gateway);
	db_bind_id(s, keep->org);
	db_queue(s, read_customer, &row);
	db_wait(db);
	/* Of two processes that made one, the first has it, unless that one is gone since. */
	if (row.is_there &&
	    (row.attempt > keep->attempt ||
	     (row.attempt == keep->attempt && strcmp(row.customer, keep->customer) != 0)))
		replace(&keep->customer, row.customer);
	else
		write_customer(db, keep);
	free(row.customer);
}

static void customer_destroy(struct rider *rider)
{
	struct customer_keep *keep = container_of(rider, struct customer_keep, rider);

	free(keep->customer);
	free(keep->email);
	free(keep);
}

struct customer_keep *customer_keep_create(const char *gateway, struct id org, const char *customer,
					   const char *email, int64_t attempt)
{
	struct customer_keep *keep = xzalloc(sizeof(*keep));

	keep->rider = (struct rider){.apply = customer_apply, .destroy = customer_destroy};
	keep->gateway = gateway;
	keep->org = org;
	keep->customer = xstrdup(customer);
	keep->email = email ? xstrdup(email) : NULL;
	keep->attempt = attempt;
	return keep;
}

static void read_facts_customer(void *arg, const struct db_row *row)
{
	struct stripe_facts *out = arg;

	replace(&out->customer, db_row_text(row, "customer"));
	replace(&out->customer_email, db_row_text(row, "email"));
	out->attempt = db_row_i64(row, "attempt");
}

static void read_facts_key(void *arg, const struct db_row *row)
{
	const char *key = db_row_text(row, "key");
	const char *what = strchr(key, '-');
	struct stripe_facts *out = arg;

	if (!what)
		out->has_intent = true;
	else if (strcmp(what, "-session") == 0)
		out->has_session = true;
	else if (strcmp(what, "-invoice") == 0)
		out->has_invoice = true;
}

static void queue_keys(struct db *db, const char *gateway, struct id payment,
		       struct stripe_facts *out)
{
	static const char SQL[] = "SELECT key FROM gateway_request WHERE gateway = $1 "
				  "AND key >= $2 AND key < $3";
	struct db_stmt *s = db_stmt(db, SQL);
	char from[ID_TEXT_SIZE], to[ID_TEXT_SIZE + 1];

	/* "pay_X" and all "pay_X-...": the character behind the dash is the dot. */
	payment_id_text(payment, from);
	(void)snprintf(to, sizeof(to), "%s.", from);
	db_bind_text(s, gateway);
	db_bind_text(s, from);
	db_bind_text(s, to);
	db_queue(s, read_facts_key, out);
}

enum db_status stripe_facts_read(struct db *db, const char *gateway, struct id org,
				 struct id payment, struct stripe_facts *out)
{
	static const char CUSTOMER[] = "SELECT customer, email, attempt FROM gateway_customer "
				       "WHERE gateway = $1 AND org = $2";
	struct org_view view = {.name = NULL};
	struct db_stmt *s = db_stmt(db, CUSTOMER);
	bool is_there = false;
	enum db_status status;

	db_bind_text(s, gateway);
	db_bind_id(s, org);
	db_queue(s, read_facts_customer, out);
	if (!id_is_none(payment))
		queue_keys(db, gateway, payment, out);
	status = db_flush(db);
	if (status == DB_OK)
		status = org_find(db, org, &is_there, &view);
	if (status == DB_OK && is_there) {
		replace(&out->org_name, view.name);
		out->is_default_org = view.is_default;
		replace(&out->email, view.email);
	}
	org_view_finish(&view);
	return status;
}

void stripe_facts_finish(struct stripe_facts *facts)
{
	free(facts->org_name);
	free(facts->email);
	free(facts->customer);
	free(facts->customer_email);
	*facts = (struct stripe_facts){.customer = NULL};
}

static void read_object(void *arg, const struct db_row *row)
{
	const char *name = db_row_text(row, "name");
	struct stripe_objects *out = arg;
	char **place = &out->subscription;

	if (strcmp(name, "meter") == 0)
		place = &out->meter;
	else if (strcmp(name, "product") == 0)
		place = &out->product;
	else if (strcmp(name, "price") == 0)
		place = &out->price;
	replace(place, db_row_text(row, "ref"));
}

enum db_status stripe_objects_read(struct db *db, const char *gateway, const char *customer,
				   struct stripe_objects *out)
{
	static const char SQL[] = "SELECT name, ref FROM gateway_object WHERE gateway = $1 "
				  "AND name IN ('meter', 'product', 'price', $2)";
	struct db_stmt *s = db_stmt(db, SQL);

	db_bind_text(s, gateway);
	db_bind_text(s, customer);
	db_queue(s, read_object, out);
	return db_flush(db);
}

void stripe_objects_finish(struct stripe_objects *objects)
{
	free(objects->meter);
	free(objects->product);
	free(objects->price);
	free(objects->subscription);
	*objects = (struct stripe_objects){.meter = NULL};
}

struct object_keep {
	struct rider rider;
	const char *gateway;
	char *name, *ref; /* owned */
};

static void object_apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char SQL[] =
		"INSERT INTO gateway_object (gateway, name, ref) VALUES ($1, $2, $3) "
		"ON CONFLICT (gateway, name) DO UPDATE SET ref = excluded.ref";
	struct object_keep *keep = container_of(rider, struct object_keep, rider);
	struct db_stmt *s = db_stmt(db, SQL);

	(void)cmd;
	db_bind_text(s, keep->gateway);
	db_bind_text(s, keep->name);
	db_bind_text(s, keep->ref);
	db_queue_write(s, 1);
}

static void object_destroy(struct rider *rider)
{
	struct object_keep *keep = container_of(rider, struct object_keep, rider);

	free(keep->name);
	free(keep->ref);
	free(keep);
}

struct rider *object_keep_create(const char *gateway, const char *name, const char *ref)
{
	struct object_keep *keep = xzalloc(sizeof(*keep));

	keep->rider = (struct rider){.apply = object_apply, .destroy = object_destroy};
	keep->gateway = gateway;
	keep->name = xstrdup(name);
	keep->ref = xstrdup(ref);
	return &keep->rider;
}
