# SPDX-License-Identifier: MIT OR Apache-2.0
# AT&T syntax. The C library's memory functions that compiled code calls (System V ABI), and what
# touches guest memory: routines whose one faulting instruction has a way out.

.section .text.memory_functions, "ax", @progbits
.global memcpy, memmove, memset, memcmp, bcmp, strlen

memmove:
    mov %rdi, %rax
    mov %rdi, %rcx
    sub %rsi, %rcx
    cmp %rdx, %rcx
    jae 1f                              # the destination does not start inside the source
    lea -1(%rdi,%rdx), %rdi
    lea -1(%rsi,%rdx), %rsi
    mov %rdx, %rcx
    std
    rep movsb
    cld
    ret

memcpy:
    mov %rdi, %rax
1:  mov %rdx, %rcx
    shr $3, %rcx
    rep movsq
    mov %edx, %ecx
    and $7, %ecx
    rep movsb
    ret

memset:
    mov %rdi, %r8
    movzbl %sil, %eax
    mov $0x0101010101010101, %rcx
    imul %rcx, %rax
    mov %rdx, %rcx
    shr $3, %rcx
    rep stosq
    mov %edx, %ecx
    and $7, %ecx
    rep stosb
    mov %r8, %rax
    ret

memcmp:
bcmp:
    xor %eax, %eax
    mov %rdx, %rcx
    cmp %rcx, %rcx                      # equal, should there be nothing to compare
    repe cmpsb
    je 2f
    movzbl -1(%rdi), %eax
    movzbl -1(%rsi), %ecx
    sub %ecx, %eax
2:  ret

strlen:
    xor %eax, %eax
3:  cmpb $0, (%rdi,%rax)
    je 4f
    inc %rax
    jmp 3b
4:  ret

# guest_copy(destination, source, length) -> bytes not copied.
# SMAP is open between STAC and CLAC alone. A #PF or #VC at guest_copy_access continues at
# guest_copy_fault (cpu/exception.rs); RCX then holds what was left.
.global guest_copy, guest_copy_access, guest_copy_fault
guest_copy:
    mov %rdx, %rcx
    stac
guest_copy_access:
    rep movsb
guest_copy_fault:
    clac
    mov %rcx, %rax
    ret

# guest_fill_zero(destination, length) -> bytes not written. As above.
.global guest_fill_zero, guest_fill_zero_access, guest_fill_zero_fault
guest_fill_zero:
    mov %rsi, %rcx
    xor %eax, %eax
    stac
guest_fill_zero_access:
    rep stosb
guest_fill_zero_fault:
    clac
    mov %rcx, %rax
    ret

# guest_rmpadjust(address, size, attributes) -> EAX of RMPADJUST, or NOT_VALIDATED. As above; a #VC
# says that the page isn't validated.
.global guest_rmpadjust, guest_rmpadjust_access, guest_rmpadjust_fault
guest_rmpadjust:
    mov %rdi, %rax
    mov %rsi, %rcx
    stac
guest_rmpadjust_access:
    .byte 0xf3, 0x0f, 0x01, 0xfe
    clac
    ret
guest_rmpadjust_fault:
    clac
    mov ${NOT_VALIDATED}, %eax
    ret
