#include <stddef.h>
#include <valgrind/memcheck.h>

void signer_mark_undefined(void *start, size_t bytes) { (void)VALGRIND_MAKE_MEM_UNDEFINED(start, bytes); }
void signer_mark_defined(void *start, size_t bytes) { (void)VALGRIND_MAKE_MEM_DEFINED(start, bytes); }
int signer_under_valgrind(void) { return (int)RUNNING_ON_VALGRIND; }
