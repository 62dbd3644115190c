/* Runs a generated network on test vectors on a bare Cortex-M in QEMU, and reports over semihosting.
 *
 * SysTick counts time; with QEMU's -icount shift=0 each instruction takes a nanosecond of it, so the count is of
 * instructions and repeats exactly. It says nothing about the cycles of a real core.
 */
#include <stdint.h>

#include MODEL_HEADER

enum { SEMIHOSTING_WRITE = 4, SEMIHOSTING_EXIT = 0x18, EXIT_OK = 0x20026, SYSTICK_TOP = 0xFFFFFF };
#define SYSTICK_CONTROL (*(volatile uint32_t *)0xE000E010)
#define SYSTICK_RELOAD (*(volatile uint32_t *)0xE000E014)
#define SYSTICK_NOW (*(volatile uint32_t *)0xE000E018)
#define COPROCESSORS (*(volatile uint32_t *)0xE000ED88)
#define PAINT 0xDEADBEEFu

extern uint32_t _stack_top, _data_source, _data_start, _data_end, _bss_start, _bss_end;
extern const int8_t test_inputs[], test_outputs[];
extern const unsigned test_count;

static uint8_t arena[ARENA_BYTES] __attribute__((aligned(16)));
static int8_t output[OUTPUT_BYTES];
static volatile uint32_t wraps;

static int semihost(int operation, const void *argument) {
  register int r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = argument;
  __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static void leave(void) {
  for (;;) semihost(SEMIHOSTING_EXIT, (const void *)EXIT_OK);
}

static void report(const char *name, uint64_t value) {
  char digits[24];
  int at = 23;
  digits[at] = 0;
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value);
  semihost(SEMIHOSTING_WRITE, name);
  semihost(SEMIHOSTING_WRITE, " ");
  semihost(SEMIHOSTING_WRITE, digits + at);
  semihost(SEMIHOSTING_WRITE, "\n");
}

static void run_tests(void) {
  uint64_t ticks = 0;
  unsigned wrong = 0;
  volatile uint32_t here = 0;
  for (uint32_t *word = &_bss_end; word < (uint32_t *)&here - 64; word++) *word = PAINT;
  for (unsigned test = 0; test < test_count; test++) {
    SYSTICK_RELOAD = SYSTICK_TOP;
    SYSTICK_NOW = 0;
    SYSTICK_CONTROL = 7;
    while (!SYSTICK_NOW) {
    }
    wraps = 0;
    uint32_t before = SYSTICK_NOW;
    INFER(arena, test_inputs + test * INPUT_BYTES, output);
    uint32_t after = SYSTICK_NOW;
    SYSTICK_CONTROL = 0;
    ticks += (uint64_t)((int64_t)wraps * (SYSTICK_TOP + 1) + before - after);
    for (unsigned i = 0; i < OUTPUT_BYTES; i++) wrong += output[i] != test_outputs[test * OUTPUT_BYTES + i];
  }
  const uint32_t *word = &_bss_end;
  while (*word == PAINT) word++;
  report("tests", test_count);
  report("wrong_bytes", wrong);
  report("ticks", ticks);
  report("stack_bytes", (uint32_t)&_stack_top - (uint32_t)word);
}

void handle_reset(void) {
  COPROCESSORS |= 0xFu << 20; /* the floating-point unit */
  for (uint32_t *to = &_data_start, *from = &_data_source; to < &_data_end;) *to++ = *from++;
  for (uint32_t *to = &_bss_start; to < &_bss_end;) *to++ = 0;
  run_tests();
  leave();
}

static void handle_systick(void) { wraps++; }

static void handle_fault(void) {
  semihost(SEMIHOSTING_WRITE, "fault\n");
  leave();
}

typedef void (*Handler)(void);
__attribute__((section(".vectors"), used)) static const Handler vectors[16] = {
    (Handler)&_stack_top, handle_reset, handle_fault, handle_fault, handle_fault, handle_fault, handle_fault,
    [11] = handle_fault, [12] = handle_fault, [14] = handle_fault, [15] = handle_systick,
};
