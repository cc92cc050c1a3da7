# SPDX-License-Identifier: MIT OR Apache-2.0
# Linux' 64-bit entry: paging on, identity mapped, interrupts off, RSI = boot_params. The SVSM has set CR4 so
# that SSE works.
.section .text.boot,"ax",@progbits
.code64
.global calls_start
calls_start:
  cld
  lea bss_start(%rip), %rdi
  lea bss_end(%rip), %rcx
  sub %rdi, %rcx
  xor %eax, %eax
  rep stosb
  lea calls_stack(%rip), %rsp
  xor %ebp, %ebp
  mov %rsi, %rdi
  call calls_main
  ud2

.section .bss.boot,"aw",@nobits
.balign 16
.skip 32768
calls_stack:
