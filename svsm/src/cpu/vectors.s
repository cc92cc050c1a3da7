# SPDX-License-Identifier: MIT OR Apache-2.0
# AT&T syntax. One stub for each exception vector. Every gate names an IST stack, so the red zone of
# the interrupted code is safe, and the SSE registers are saved, because compiled code uses them.

.section .text.vectors, "ax", @progbits

.macro exception_stub vector, has_error
vector_\vector:
    .if \has_error == 0
    push $0
    .endif
    push $\vector
    jmp exception_entry
.endm

exception_stub 0, 0
exception_stub 1, 0
exception_stub 3, 0
exception_stub 4, 0
exception_stub 5, 0
exception_stub 6, 0
exception_stub 7, 0
exception_stub 8, 1
exception_stub 9, 0
exception_stub 10, 1
exception_stub 11, 1
exception_stub 12, 1
exception_stub 13, 1
exception_stub 14, 1
exception_stub 15, 0
exception_stub 16, 0
exception_stub 17, 1
exception_stub 18, 0
exception_stub 19, 0
exception_stub 20, 0
exception_stub 21, 1
exception_stub 22, 0
exception_stub 23, 0
exception_stub 24, 0
exception_stub 25, 0
exception_stub 26, 0
exception_stub 27, 0
exception_stub 28, 0
exception_stub 29, 1
exception_stub 30, 1
exception_stub 31, 0

# The SVSM asks for no NMI and expects none: whatever the host injects is dropped.
vector_2:
    iretq

exception_entry:
    push %rax
    push %rbx
    push %rcx
    push %rdx
    push %rsi
    push %rdi
    push %rbp
    push %r8
    push %r9
    push %r10
    push %r11
    push %r12
    push %r13
    push %r14
    push %r15
    # Interrupted guest_copy leaves EFLAGS.AC set: close SMAP while the handler runs.
    pushfq
    andq $~0x40000, (%rsp)
    popfq
    cld
    mov %rsp, %rdi                      # &mut ExceptionFrame
    mov %rsp, %rbx
    sub $512, %rsp
    and $~15, %rsp
    fxsave64 (%rsp)
    mov %rsp, %r12
    call svsm_exception
    fxrstor64 (%r12)
    mov %rbx, %rsp
    pop %r15
    pop %r14
    pop %r13
    pop %r12
    pop %r11
    pop %r10
    pop %r9
    pop %r8
    pop %rbp
    pop %rdi
    pop %rsi
    pop %rdx
    pop %rcx
    pop %rbx
    pop %rax
    add $16, %rsp                       # vector, error code
    iretq

.section .rodata.vectors, "a"
.balign 8
.global exception_vectors
exception_vectors:
.altmacro
.macro vector_address number
    .quad vector_\number
.endm
.set index, 0
.rept 32
    vector_address %index
    .set index, index + 1
.endr
.noaltmacro
