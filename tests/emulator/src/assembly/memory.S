# SPDX-License-Identifier: MIT OR Apache-2.0
# The memory functions that the precompiled core library expects of its environment (System V ABI).
.section .text.memory,"ax",@progbits
.global memcpy, memmove, memset, memcmp, bcmp, strlen
# 64 bytes at a time by SSE: QEMU's software emulation takes several times as long for REP MOVSQ.
memcpy:
  mov %rdi, %rax
1: cmp $64, %rdx
  jb 2f
  movups (%rsi), %xmm0
  movups 16(%rsi), %xmm1
  movups 32(%rsi), %xmm2
  movups 48(%rsi), %xmm3
  movups %xmm0, (%rdi)
  movups %xmm1, 16(%rdi)
  movups %xmm2, 32(%rdi)
  movups %xmm3, 48(%rdi)
  add $64, %rsi
  add $64, %rdi
  sub $64, %rdx
  jmp 1b
2: mov %rdx, %rcx
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
  movq %rax, %xmm0
  punpcklqdq %xmm0, %xmm0
3: cmp $64, %rdx
  jb 4f
  movups %xmm0, (%rdi)
  movups %xmm0, 16(%rdi)
  movups %xmm0, 32(%rdi)
  movups %xmm0, 48(%rdi)
  add $64, %rdi
  sub $64, %rdx
  jmp 3b
4: mov %rdx, %rcx
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
