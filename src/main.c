#include <stdio.h>

int main(void)
{
	puts("farebox " FAREBOX_VERSION);
	return 0;
}
