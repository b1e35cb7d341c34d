/* Every fault of a document that people wrote, so that they mend all of them at once. */

#include "json/edge.h"
#include "json/schema_node.h"

#include <stdlib.h>
#include <string.h>

/* Takes the member away that the pointer names. */
static void remove_member(json_t *root, const char *pointer)
{
	const char *last = strrchr(pointer, '/');
	CLEANUP(free_charp) char *parent = xstrndup(pointer, (size_t)(last - pointer));
	struct buf key = BUF_INIT;

	for (const char *p = last + 1; *p; p++) {
		if (*p == '~')
			buf_putc(&key, *++p == '1' ? '/' : '~');
		else
			buf_putc(&key, *p);
	}
	CHECK(json_object_del(edge_pointer(root, parent), buf_text(&key)) == 0);
	buf_finish(&key);
}

/* Returns how many members were taken away: what they hid shows the next time. */
static size_t run_once(const struct schema *s, json_t *root, struct faults *out, size_t max)
{
	struct schema_fault *found = xarray(max, sizeof(*found));
	struct schema_place *places = xarray(max, sizeof(*places));
	size_t n = schema_run(s, root, found, places, max), removed = 0;

	for (size_t i = 0; i < n; i++) {
		faults_add(out, places[i].pointer, "%s", found[i].text);
		if (places[i].is_unknown) {
			remove_member(root, places[i].pointer);
			removed++;
		}
		free(places[i].pointer);
	}
	free(found);
	free(places);
	return removed;
}

json_t *schema_faults(const struct schema *s, const json_t *value, struct faults *out, size_t max)
{
	json_t *root = json_deep_copy(value);
	size_t removed;

	CHECK(root && max > 0);
	do {
		struct faults now = FAULTS_INIT;

		removed = run_once(s, root, &now, max);
		faults_take(out, "", &now);
		faults_sort(out);
	} while (removed && out->count < max);
	return root;
}

bool schema_check(const struct schema *s, const json_t *value, struct schema_fault *fault)
{
	return schema_run(s, value, fault, NULL, 1) == 0;
}
