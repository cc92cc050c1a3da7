# SPDX-License-Identifier: MIT OR Apache-2.0
# AT&T syntax. The launch VMSA enters here: VMPL0, 32-bit protected mode, flat segments, paging off,
# so that every access is private whatever the C-bit's position. That position is read from the
# CPUID page, since CPUID itself would be a #VC without a handler. Then: identity tables for the
# SVSM's region alone, long mode, a stack, Rust.

.section .text.entry, "ax", @progbits
.code32
.global svsm_entry
svsm_entry:
    cli
    cld
    mov ${CPUID_PAGE}, %esi
    mov (%esi), %edx                    # functions in the page; the page has room for 64
    add $16, %esi
    cmp $64, %edx
    ja no_c_bit
1:  test %edx, %edx
    jz no_c_bit
    cmpl $0x8000001f, (%esi)
    je 2f
    add $48, %esi
    dec %edx
    jmp 1b
2:  mov 28(%esi), %ecx                  # EBX of the leaf; bits 5:0 are the position
    and $63, %ecx
    sub $32, %ecx
    jb no_c_bit
    cmp $51 - 32, %ecx
    ja no_c_bit
    mov $1, %ebx
    shl %cl, %ebx                       # upper half of the C-bit mask

    movl $boot_pdpt + 0x63, boot_pml4
    mov %ebx, boot_pml4 + 4
    movl $boot_pd + 0x63, boot_pdpt
    mov %ebx, boot_pdpt + 4
    mov ${REGION_BASE} + 0xe3, %eax     # present, writable, accessed, dirty, large
    mov ${REGION_BASE} >> 21, %ecx
    mov ${REGION_SIZE} >> 21, %edx
3:  mov %eax, boot_pd(,%ecx,8)
    mov %ebx, boot_pd + 4(,%ecx,8)
    add $0x200000, %eax
    inc %ecx
    dec %edx
    jnz 3b

    mov $boot_pml4, %eax                # 32-bit code cannot load the C-bit; page walks are private
    mov %eax, %cr3
    mov $0x6a0, %eax                    # PAE, PGE, OSFXSR, OSXMMEXCPT
    mov %eax, %cr4
    mov $0xc0000080, %ecx
    rdmsr
    or $0x900, %eax                     # LME, NXE; SVME stays as the launch set it
    wrmsr
    mov $0x80010033, %eax               # PG, WP, NE, ET, MP, PE
    mov %eax, %cr0
    lgdt boot_gdt_pointer
    ljmp $8, $entry_64

no_c_bit:                               # terminate by the GHCB MSR protocol (AMD 56421, 2.3.1)
    mov $0xc0010130, %ecx
    mov ${TERMINATE_NO_C_BIT}, %eax
    xor %edx, %edx
    wrmsr
    rep; vmmcall
    jmp no_c_bit

.code64
entry_64:
    mov $0x10, %eax
    mov %eax, %ds
    mov %eax, %es
    mov %eax, %ss
    xor %eax, %eax
    mov %eax, %fs
    mov %eax, %gs
    mov $boot_stack_top, %rsp
    xor %ebp, %ebp
    call svsm_start
    ud2

# boot_continue(stack_top, function) -> !: leaves the current stack for good.
.global boot_continue
boot_continue:
    mov %rdi, %rsp
    xor %ebp, %ebp
    call *%rsi
    ud2

.section .rodata.boot, "a"
.balign 16
boot_gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
boot_gdt_pointer:
    .word 23
    .long boot_gdt

.section .bss.boot, "aw", @nobits
.balign 4096
boot_pml4: .skip 4096
boot_pdpt: .skip 4096
boot_pd: .skip 4096
.skip 32768
boot_stack_top:
