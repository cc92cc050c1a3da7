# SPDX-License-Identifier: MIT OR Apache-2.0
# Exceptions of a payload: 32 stubs of 16 bytes, then the Rust handler, which may move RIP.
.section .text.faults,"ax",@progbits
.balign 16
.global fault_stubs
fault_stubs:
.set vector, 0
.rept 32
  .balign 16
  .if (vector == 8) || (vector == 10) || (vector == 11) || (vector == 12) || (vector == 13) || (vector == 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
  .else
  push $0
  .endif
  push $vector
  jmp fault_common
  .set vector, vector + 1
.endr
fault_common:
  push %rbx
  push %rax
  push %rcx
  push %rdx
  push %rsi
  push %rdi
  push %r8
  push %r9
  push %r10
  push %r11
  mov %rsp, %rdi                # faults.rs: Frame
  mov %rsp, %rsi
  sub $528, %rsp
  and $-16, %rsp
  fxsave64 (%rsp)
  push %rsi
  push %rsi
  call payload_fault
  pop %rsi
  pop %rsi
  fxrstor64 (%rsp)
  mov %rsi, %rsp
  pop %r11
  pop %r10
  pop %r9
  pop %r8
  pop %rdi
  pop %rsi
  pop %rdx
  pop %rcx
  pop %rax
  pop %rbx
  add $16, %rsp
  iretq

# probe_read(address: rdi), probe_write(address: rdi, value: rsi), probe_execute(address: rdi): rax = 0,
# or 1 when the access faulted: the handler then continues at the second label.
.global probe_read, probe_read_fault, probe_write, probe_write_fault
probe_read:
  movb (%rdi), %al
  xor %eax, %eax
  ret
probe_read_fault:
  mov $1, %eax
  ret
probe_write:
  mov %sil, (%rdi)
  xor %eax, %eax
  ret
probe_write_fault:
  mov $1, %eax
  ret
# probe_instruction(code: rdi): calls one instruction followed by RET, with RAX, RCX, RDX = 0.
.global probe_instruction, probe_instruction_fault
probe_instruction:
  push %rbp
  mov %rsp, %rbp
  push %rbx
  xor %eax, %eax
  xor %ecx, %ecx
  xor %edx, %edx
  call *%rdi
  pop %rbx
  pop %rbp
  xor %eax, %eax
  ret
probe_instruction_fault:
  lea -8(%rbp), %rsp
  pop %rbx
  pop %rbp
  mov $1, %eax
  ret
