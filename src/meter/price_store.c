#include "meter/price_store.h"

#include <stdlib.h>

struct price_rider {
	struct rider rider;
	const struct price *price;
};

static void apply(struct rider *rider, struct db *db, const struct wallet_cmd *cmd)
{
	static const char SQL[] = "INSERT INTO price (version, text, first_ms) VALUES ($1, $2, $3) "
				  "ON CONFLICT (version) DO NOTHING";
	const struct price *price = container_of(rider, struct price_rider, rider)->price;
	struct db_stmt *s;

	if (cmd->outcome != WALLET_OK)
		return;
	s = db_stmt(db, SQL);
	db_bind_i64(s, price->version);
	db_bind_text(s, price->text);
	db_bind_walltime(s, cmd->now);
	db_queue_write(s, -1);
}

static void destroy(struct rider *rider)
{
	free(container_of(rider, struct price_rider, rider));
}

struct rider *price_rider(const struct price *price)
{
	struct price_rider *r = xzalloc(sizeof(*r));

	r->price = price;
	r->rider.apply = apply;
	r->rider.destroy = destroy;
	return &r->rider;
}
