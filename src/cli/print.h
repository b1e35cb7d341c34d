#ifndef CLI_PRINT_H
#define CLI_PRINT_H

/*
 * What the commands print: results to stdout, failures to stderr (with --json as the error object
 * on stdout), tables for people, JSON for programs. In text that came from elsewhere, what is
 * not printable is escaped (base/printable.h) before a terminal sees it.
 */

#include "cli/cli.h"
#include "tools/error.h"

#include <jansson.h>

/* Where a usage fault lies; all members may be NULL. */
struct usage_fault {
	const char *option;  /* without dashes */
	const char *operand; /* as help names it */
	const char *suggestion;
	bool is_option; /* the suggestion is an option's name */
};

/* Each prints the failure and returns the exit status. */
int cli_usage(struct cli *cli, const struct usage_fault *fault, const char *fmt, ...)
	PRINTF_LIKE(3, 4);
int cli_fail(struct cli *cli, TAKES struct tool_error *error);
/* With the code's own message. */
int cli_fail_code(struct cli *cli, enum error_code code);
/* hint NULL: the code's own. */
int cli_fail_text(struct cli *cli, enum error_code code, const char *hint, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* INVALID_ARGUMENTS that names what was given and is not there, or cannot be done. */
int cli_fail_field(struct cli *cli, const char *field, const char *hint, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* An error object {"error":{...}} that is JSON already. */
int cli_fail_object(struct cli *cli, const json_t *object);

/* Writes out what was printed. False when stdout could not take it. */
bool cli_flush(void);

/* A line on stderr beside the result, behind what stdout has so far; cleaned. */
void cli_note(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* Text for people; what is not printable is escaped, but newlines and tabs. */
void print_clean(FILE *out, const char *text);
/* One JSON value and a newline: indented for a terminal, unless --json was given. */
void print_json(const struct cli *cli, struct slice json);
/* Indents JSON text by two spaces a level. The numbers stay as they are written. What
 * is not printable, which JSON allows in strings beyond ASCII, is escaped. */
void json_indent(struct slice json, struct buf *out);

/* The text of a JSON value for a table: strings as they are, numbers exact, null as "-". Owned by
 * the caller. */
char *json_cell(const json_t *value);

enum column_kind {
	COLUMN_TEXT,
	COLUMN_RIGHT, /* numbers */
};

struct column {
	const char *name;
	enum column_kind kind;
};

struct table;

/* is_headed: the columns' names stand on top. */
struct table *table_create(const struct column *columns, size_t count, bool is_headed);
/* As many cells as there are columns; copied. */
void table_row(struct table *t, const char *const *cells);
/* Prints and frees it. */
void table_print(TAKES struct table *t);
/* Without printing it. */
void table_destroy(struct table *t);

/* A list of names and values. */
struct table *pairs_create(void);
void pairs_add(struct table *t, const char *name, const char *value);

#endif
