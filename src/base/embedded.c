#include "base/embedded.h"

#include <string.h>

const struct embedded_file *embedded_find(const char *name)
{
	for (size_t i = 0; i < EMBEDDED_FILES_COUNT; i++) {
		if (strcmp(EMBEDDED_FILES[i].name, name) == 0)
			return &EMBEDDED_FILES[i];
	}
	return NULL;
}
