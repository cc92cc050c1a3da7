# SPDX-License-Identifier: MIT OR Apache-2.0
# PVH entry of the boot processor: 32-bit protected mode, paging off, EBX -> hvm_start_info.
.section .note.pvh,"a",@note
.balign 4
.long 4, 4, 18                  # name size, description size, XEN_ELFNOTE_PHYS32_ENTRY
.asciz "Xen"
.long start_32

.section .text.boot,"ax",@progbits
.code32
.global start_32
start_32:
  cld
  cli
  mov $boot_stack_top, %esp
  mov %ebx, %edi                # the start info, first argument of machine_main
  # Identity map of 4 GiB in 2 MiB pages: all RAM the machine accepts, and the devices.
  mov $boot_pml4, %eax
  movl $boot_pdpt + 3, (%eax)
  mov $boot_pdpt, %eax
  mov $boot_pd + 3, %ecx
  mov $4, %edx
1: mov %ecx, (%eax)
  add $8, %eax
  add $4096, %ecx
  dec %edx
  jnz 1b
  mov $boot_pd, %eax
  mov $0x83, %ecx
  mov $2048, %edx
2: mov %ecx, (%eax)
  add $8, %eax
  add $0x200000, %ecx
  dec %edx
  jnz 2b
  mov $boot_pml4, %eax
  mov %eax, %cr3
  mov $0x6a0, %eax              # CR4: PAE, PGE, OSFXSR, OSXMMEXCPT
  mov %eax, %cr4
  mov $0xc0000080, %ecx
  rdmsr
  or $0x901, %eax               # EFER: LME, NXE, SCE
  wrmsr
  mov $0x80010033, %eax         # CR0: PG, WP, NE, ET, MP, PE
  mov %eax, %cr0
  lgdt boot_gdtr
  ljmp $8, $start_64
.code64
start_64:
  mov $0x10, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  xor %eax, %eax
  mov %eax, %fs
  mov %eax, %gs
  mov $boot_stack_top, %rsp
  mov %edi, %edi                # clear the upper half
  xor %ebp, %ebp
  call machine_main
3: cli
  hlt
  jmp 3b

.section .rodata.boot_gdt,"a"
.balign 16
boot_gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
.global boot_gdtr
boot_gdtr: .word 23
  .quad boot_gdt

.section .bss.boot,"aw",@nobits
.balign 4096
.global boot_pml4
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd: .skip 16384
.skip 65536
boot_stack_top:
