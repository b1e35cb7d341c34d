/*
 * Tables by libsmartcols, which knows the width of letters. Cells are escaped before: it lets marks
 * of direction through.
 */

#include "base/printable.h"
#include "cli/print.h"

#include <libsmartcols/libsmartcols.h>
#include <locale.h>
#include <stdlib.h>

struct table {
	struct libscols_table *table;
	size_t columns;
};

struct table *table_create(const struct column *columns, size_t count, bool is_headed)
{
	struct table *t = xzalloc(sizeof(*t));

	t->columns = count;
	t->table = scols_new_table();
	CHECK(t->table);
	/* Cells are never cut or broken, also where a terminal is narrow: people copy ids. */
	CHECK(scols_table_set_termforce(t->table, SCOLS_TERMFORCE_NEVER) == 0);
	CHECK(scols_table_enable_noheadings(t->table, !is_headed) == 0);
	CHECK(scols_table_set_column_separator(t->table, "  ") == 0);
	for (size_t i = 0; i < count; i++)
		CHECK(scols_table_new_column(t->table, columns[i].name, 0,
					     columns[i].kind == COLUMN_RIGHT ? SCOLS_FL_RIGHT : 0));
	return t;
}

void table_row(struct table *t, const char *const *cells)
{
	struct libscols_line *line = scols_table_new_line(t->table, NULL);

	CHECK(line);
	for (size_t i = 0; i < t->columns; i++) {
		struct buf clean = BUF_INIT;

		printable_append(slice_of(cells[i]), false, &clean);
		CHECK(scols_line_set_data(line, i, buf_text(&clean)) == 0);
		buf_finish(&clean);
	}
}

void table_destroy(struct table *t)
{
	scols_unref_table(t->table);
	free(t);
}

/* The letters' widths are those of UTF-8, also where the environment names no locale; only here,
 * because patterns of schemas mean bytes elsewhere. */
void table_print(TAKES struct table *t)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = utf8 ? uselocale(utf8) : (locale_t)0;

	if (scols_table_is_empty(t->table))
		cli_note("none");
	CHECK(scols_print_table(t->table) == 0 || ferror(stdout));
	if (utf8) {
		(void)uselocale(before);
		freelocale(utf8);
	}
	table_destroy(t);
}

struct table *pairs_create(void)
{
	static const struct column COLUMNS[] = {{"NAME", COLUMN_TEXT}, {"VALUE", COLUMN_TEXT}};

	return table_create(COLUMNS, ARRAY_LEN(COLUMNS), false);
}

void pairs_add(struct table *t, const char *name, const char *value)
{
	table_row(t, (const char *const[]){name, value});
}
