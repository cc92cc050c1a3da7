# SPDX-License-Identifier: MIT OR Apache-2.0
# The memory functions that the precompiled core library expects of its environment (System V ABI).
.section .text.memory,"ax",@progbits
.global memcpy, memmove, memset, memcmp, bcmp, strlen
memcpy:
  mov %rdi, %rax
  mov %rdx, %rcx
  shr $3, %rcx
  rep movsq
  mov %edx, %ecx
  and $7, %ecx
  rep movsb
  ret
memmove:
  mov %rdi, %rax
  mov %rdi, %rcx
  sub %rsi, %rcx
  cmp %rdx, %rcx
  jae memcpy                    # the destination doesn't begin inside the source
  lea -1(%rdi,%rdx), %rdi
  lea -1(%rsi,%rdx), %rsi
  mov %rdx, %rcx
  std
  rep movsb
  cld
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
  test %rcx, %rcx
  jz 1f
  repe cmpsb
  je 1f
  movzbl -1(%rdi), %eax
  movzbl -1(%rsi), %ecx
  sub %ecx, %eax
1: ret
strlen:
  xor %eax, %eax
2: cmpb $0, (%rdi,%rax)
  je 3f
  inc %rax
  jmp 2b
3: ret
