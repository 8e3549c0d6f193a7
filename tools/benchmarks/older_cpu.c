// A library to be loaded before all others (LD_PRELOAD): the process sees an older processor than it runs on.
//
// Linux can make a process's `cpuid` instructions fault (arch_prctl, ARCH_SET_CPUID). This handler answers each with the
// bits of newer instructions cleared. Libraries then choose the kernels of the older processor, which run at full speed.
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012

// Bits of leaf 7 that an older processor lacks, by subleaf and word.
typedef struct {
    uint32_t ebx0, ecx0, edx0, eax1, edx1;
} Hidden;

// AMX and its kin: tiles, bfloat16, int8; AVX512-BF16; in subleaf 1 AMX-FP16, AMX-COMPLEX.
static const Hidden WITHOUT_AMX = {0, 0, 1u << 22 | 1u << 24 | 1u << 25, 1u << 5 | 1u << 21, 1u << 8};
// AMX, all of AVX-512, and AVX-VNNI.
static const Hidden WITHOUT_AVX512 = {
    1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31,
    1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14,
    1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25,
    1u << 4 | 1u << 5 | 1u << 21 | 1u << 23,
    1u << 4 | 1u << 5 | 1u << 8 | 1u << 10 | 1u << 19,
};

static Hidden hidden;
static struct sigaction before;

static long let_cpuid(int runs) { return syscall(SYS_arch_prctl, ARCH_SET_CPUID, runs); }

static void on_fault(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *instruction = (const uint8_t *)registers[REG_RIP];
    (void)number, (void)info;
    if (instruction[0] != 0x0f || instruction[1] != 0xa2) {  // not cpuid: a real fault, which will happen again
        sigaction(SIGSEGV, &before, NULL);
        return;
    }
    uint32_t leaf = registers[REG_RAX], subleaf = registers[REG_RCX];
    uint32_t a = leaf, b, c = subleaf, d;
    let_cpuid(1);
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    let_cpuid(0);
    if (leaf == 7 && subleaf == 0) {
        b &= ~hidden.ebx0, c &= ~hidden.ecx0, d &= ~hidden.edx0;
    } else if (leaf == 7 && subleaf == 1) {
        a &= ~hidden.eax1, d &= ~hidden.edx1;
    }
    registers[REG_RAX] = a, registers[REG_RBX] = b, registers[REG_RCX] = c, registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void hide(void) {
    const char *wanted = getenv("OLDER_CPU");
    hidden = wanted && !strcmp(wanted, "avx2") ? WITHOUT_AVX512 : WITHOUT_AMX;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGSEGV, &action, &before);
    if (let_cpuid(0)) {
        fputs("this processor or system cannot be made to look older\n", stderr);
        exit(1);
    }
}
