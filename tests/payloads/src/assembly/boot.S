# SPDX-License-Identifier: MIT OR Apache-2.0
# Entered at VMPL0 from the IGVM file's VP context: 32-bit protected mode, paging off, so that every access
# is private. CPUID would be a #VC, so the C-bit comes from the CPUID page.
.set CPUID_PAGE, 0x04001000
.section .text.boot,"ax",@progbits
.code32
.global payload_start
payload_start:
  cld
  cli
  mov $CPUID_PAGE, %esi
  mov (%esi), %edx              # number of functions
  add $16, %esi
1: cmpl $0x8000001f, (%esi)
  je 2f
  add $48, %esi
  dec %edx
  jnz 1b
  ud2
2: mov 28(%esi), %ecx           # EBX of the function: the C-bit's position
  and $63, %ecx
  sub $32, %ecx
  jb 9f
  mov $1, %ebx
  shl %cl, %ebx                 # EBX = upper half of the C-bit
  mov $payload_pml4, %edi
  movl $pdpt + 3, (%edi)
  mov %ebx, 4(%edi)
  mov $pdpt, %edi
  movl $private_directory + 3, (%edi)    # the first GiB: private
  mov %ebx, 4(%edi)
  movl $shared_directory + 3, 8(%edi)    # the second GiB: the same memory, shared
  mov %ebx, 12(%edi)
  xor %ecx, %ecx
  mov $0x83, %eax
3: mov %eax, private_directory(,%ecx,8)
  mov %ebx, private_directory+4(,%ecx,8)
  mov %eax, shared_directory(,%ecx,8)
  add $0x200000, %eax
  inc %ecx
  cmp $512, %ecx
  jne 3b
  mov $payload_pml4, %eax       # a 32-bit load has no room for the C-bit; walks are private anyway
  mov %eax, %cr3
  mov $0x6a0, %eax
  mov %eax, %cr4
  mov $0xc0000080, %ecx
  rdmsr
  or $0x900, %eax               # LME, NXE
  wrmsr
  mov $0x80010033, %eax
  mov %eax, %cr0
  lgdt gdtr_32
  ljmp $8, $start_64
9: ud2
.code64
start_64:
  mov $0x10, %eax
  mov %eax, %ds
  mov %eax, %es
  mov %eax, %ss
  mov $payload_stack, %rsp
  xor %ebp, %ebp
  call payload_main
  ud2

# Where VMPLs and processors other than the first begin: RDI = what to run, RSP = their stack.
.global payload_entry
payload_entry:
  xor %ebp, %ebp
  call *%rdi
  ud2

.section .rodata.gdt,"a"
.balign 16
.global payload_gdt
payload_gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr_32: .word 23
  .long payload_gdt

.section .bss.boot,"aw",@nobits
.balign 4096
.global payload_pml4
payload_pml4: .skip 4096
pdpt: .skip 4096
private_directory: .skip 4096
shared_directory: .skip 4096
.skip 65536
payload_stack:
