# SPDX-License-Identifier: MIT OR Apache-2.0
# world_switch(vmcb: rdi, registers: rsi): one VMRUN. AMD 24593, 15.5.
# registers: rbx rcx rdx rsi rdi rbp r8..r15 (0x00..0x68), then an FXSAVE area at 0x80.
# The interrupt flag GIF is clear before and after: nothing interrupts the machine itself.
.section .text.world_switch,"ax",@progbits
.global world_switch
world_switch:
  push %rbx
  push %rbp
  push %r12
  push %r13
  push %r14
  push %r15
  push %rsi
  mov %rdi, %rax
  fxrstor64 0x80(%rsi)
  mov 0x00(%rsi), %rbx
  mov 0x08(%rsi), %rcx
  mov 0x10(%rsi), %rdx
  mov 0x20(%rsi), %rdi
  mov 0x28(%rsi), %rbp
  mov 0x30(%rsi), %r8
  mov 0x38(%rsi), %r9
  mov 0x40(%rsi), %r10
  mov 0x48(%rsi), %r11
  mov 0x50(%rsi), %r12
  mov 0x58(%rsi), %r13
  mov 0x60(%rsi), %r14
  mov 0x68(%rsi), %r15
  mov 0x18(%rsi), %rsi
  vmload
  vmrun
  vmsave
  push %rax
  mov 8(%rsp), %rax
  mov %rbx, 0x00(%rax)
  mov %rcx, 0x08(%rax)
  mov %rdx, 0x10(%rax)
  mov %rsi, 0x18(%rax)
  mov %rdi, 0x20(%rax)
  mov %rbp, 0x28(%rax)
  mov %r8,  0x30(%rax)
  mov %r9,  0x38(%rax)
  mov %r10, 0x40(%rax)
  mov %r11, 0x48(%rax)
  mov %r12, 0x50(%rax)
  mov %r13, 0x58(%rax)
  mov %r14, 0x60(%rax)
  mov %r15, 0x68(%rax)
  fxsave64 0x80(%rax)
  ldmxcsr default_mxcsr(%rip)   # the guest's exception masks are none of the machine's
  pop %rax
  pop %rsi
  pop %r15
  pop %r14
  pop %r13
  pop %r12
  pop %rbp
  pop %rbx
  ret

# NMIs are other processors' calls for attention. An intercepted NMI stays pending in the processor:
# drain_nmi opens GIF for a moment and lets this handler swallow it.
.global drain_nmi
drain_nmi:
  stgi
  nop
  nop
  pause
  nop
  clgi
  ret

# wait_for_nmi(flag: rdi): sleeps until an NMI unless *flag is already non-zero. The handler moves an
# interrupted instruction pointer past the window, so that an NMI between the test and HLT isn't lost.
.global wait_for_nmi
wait_for_nmi:
  stgi
wait_window:
  cmpl $0, (%rdi)
  jne wait_window_end
  hlt
wait_window_end:
  nop
  clgi
  ret

.global nmi_entry
nmi_entry:
  push %rax
  lea wait_window(%rip), %rax
  cmp %rax, 8(%rsp)
  jb 1f
  lea wait_window_end(%rip), %rax
  cmp %rax, 8(%rsp)
  ja 1f
  mov %rax, 8(%rsp)
1: pop %rax
  iretq

.section .rodata.world_switch,"a"
.balign 4
default_mxcsr: .long 0x1f80

# The machine's own exceptions: all are its defects, reported with the vector and the frame.
# exception_stubs: 32 stubs of 16 bytes. Vectors without an error code leave a zero in its place.
.section .text.exceptions,"ax",@progbits
.balign 16
.global exception_stubs
exception_stubs:
.set vector, 0
.rept 32
  .balign 16
  .if (vector == 8) || (vector == 10) || (vector == 11) || (vector == 12) || (vector == 13) || (vector == 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
  .else
  push $0
  .endif
  push $vector
  jmp exception_common
  .set vector, vector + 1
.endr
exception_common:
  mov %rsp, %rdi                # vector, error code, rip, cs, rflags, rsp, ss
  and $-16, %rsp
  call machine_exception
1: hlt
  jmp 1b
