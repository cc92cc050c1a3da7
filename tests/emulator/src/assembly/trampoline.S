# SPDX-License-Identifier: MIT OR Apache-2.0
# Where the other processors start (copied to 0x8000): real mode to 64-bit mode, then a stack.
# The stack is chosen by the initial APIC id, which is also the processor's number in the machine.
# Assembled with four stacks: layout.rs, MAX_PROCESSORS.
.set APPLICATION_PROCESSORS, 4
.set TRAMPOLINE, 0x8000
.section .rodata.trampoline,"a"
.code16
.global trampoline_start, trampoline_end
trampoline_start:
  cli
  xor %ax, %ax
  mov %ax, %ds
  lgdtl (TRAMPOLINE + trampoline_gdtr - trampoline_start)
  mov $boot_pml4, %eax
  mov %eax, %cr3
  mov $0x6a0, %eax
  mov %eax, %cr4
  mov $0xc0000080, %ecx
  rdmsr
  or $0x901, %eax
  wrmsr
  mov $0x80010033, %eax
  mov %eax, %cr0
  ljmpl $8, $(TRAMPOLINE + trampoline_64 - trampoline_start)
.code64
trampoline_64:
  lgdt boot_gdtr                # this page becomes the guest's, and IRET reads the GDT
  mov $0x10, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  mov $1, %eax
  cpuid
  shr $24, %ebx                 # initial APIC id, never more than start.rs has allowed
  mov %ebx, %edi
  shl $16, %ebx                 # 64 KiB each; processor 1 has the lowest
  mov $application_stacks, %rsp
  add %rbx, %rsp
  xor %ebp, %ebp
  mov $machine_application_processor, %rax
  call *%rax
1: cli
  hlt
  jmp 1b
.balign 8
trampoline_gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
trampoline_gdtr: .word 23
  .long TRAMPOLINE + trampoline_gdt - trampoline_start
trampoline_end:

.section .bss.application_stacks,"aw",@nobits
.balign 16
application_stacks:
.skip 65536 * APPLICATION_PROCESSORS
