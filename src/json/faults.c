#include "json/faults.h"

#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void push(struct faults *f, TAKES char *pointer, TAKES char *text, bool is_warning)
{
	f->items = xrealloc_array(f->items, f->count + 1, sizeof(*f->items));
	f->items[f->count++] = (struct fault){
		.pointer = pointer, .text = text, .is_warning = is_warning};
}

void faults_add(struct faults *f, const char *pointer, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	push(f, xstrdup(pointer), xvasprintf(fmt, ap), false);
	va_end(ap);
}

void faults_warn(struct faults *f, const char *pointer, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	push(f, xstrdup(pointer), xvasprintf(fmt, ap), true);
	va_end(ap);
}

void faults_take(struct faults *f, const char *pointer, struct faults *from)
{
	for (size_t i = 0; i < from->count; i++) {
		struct fault *fault = &from->items[i];

		push(f, xasprintf("%s%s", pointer, fault->pointer), fault->text, fault->is_warning);
		free(fault->pointer);
	}
	free(from->items);
	*from = (struct faults)FAULTS_INIT;
}

const struct fault *faults_first(const struct faults *f, const char *pointer)
{
	size_t len = strlen(pointer);

	for (size_t i = 0; i < f->count; i++) {
		const char *other = f->items[i].pointer;

		if (!f->items[i].is_warning && strncmp(other, pointer, len) == 0 &&
		    (!other[len] || other[len] == '/'))
			return &f->items[i];
	}
	return NULL;
}

size_t faults_grave(const struct faults *f)
{
	size_t n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += !f->items[i].is_warning;
	return n;
}

/* So few that this is quick enough, and stable. */
void faults_sort(struct faults *f)
{
	size_t kept = 0;

	for (size_t i = 0; i < f->count; i++) {
		struct fault one = f->items[i];
		size_t at = kept;
		bool is_again = false;

		while (at > 0 && strcmp(f->items[at - 1].pointer, one.pointer) > 0)
			at--;
		for (size_t k = at; k > 0 && strcmp(f->items[k - 1].pointer, one.pointer) == 0; k--)
			is_again = is_again || strcmp(f->items[k - 1].text, one.text) == 0;
		if (is_again) {
			free(one.pointer);
			free(one.text);
			continue;
		}
		memmove(&f->items[at + 1], &f->items[at], (kept - at) * sizeof(one));
		f->items[at] = one;
		kept++;
	}
	f->count = kept;
}

/* "/headers/Accept" as "headers: Accept: ". */
static void append_context(struct buf *b, const char *pointer)
{
	for (const char *p = pointer; *p; p++) {
		if (*p == '/' && p == pointer)
			continue;
		if (*p == '/')
			buf_puts(b, ": ");
		else if (*p == '~' && p[1])
			buf_putc(b, *++p == '1' ? '/' : '~');
		else
			buf_putc(b, *p);
	}
	if (*pointer)
		buf_puts(b, ": ");
}

bool faults_are_none(const struct faults *f, struct err *err)
{
	const struct fault *first = faults_first(f, "");
	struct buf context = BUF_INIT;

	if (!first)
		return true;
	append_context(&context, first->pointer);
	err_set(err, "%s%s", buf_text(&context), first->text);
	buf_finish(&context);
	return false;
}

void faults_finish(struct faults *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->items[i].pointer);
		free(f->items[i].text);
	}
	free(f->items);
	*f = (struct faults)FAULTS_INIT;
}

char *pointer_below(const char *pointer, const char *key)
{
	struct buf b = BUF_INIT;

	buf_puts(&b, pointer);
	buf_putc(&b, '/');
	for (; *key; key++) {
		if (*key == '~')
			buf_puts(&b, "~0");
		else if (*key == '/')
			buf_puts(&b, "~1");
		else
			buf_putc(&b, *key);
	}
	return buf_steal(&b);
}
