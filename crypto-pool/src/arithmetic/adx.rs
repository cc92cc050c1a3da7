// SPDX-License-Identifier: MIT OR Apache-2.0
//! Montgomery arithmetic with the instructions MULX (BMI2), ADCX and ADOX (ADX).
//!
//! Numbers are cut into blocks of eight limbs. A product is a sum of rows: one block of one factor
//! times all blocks of the other. Then as many rows are added, each a multiple of the modulus that
//! makes the lowest block zero.
//!
//! Within a row, a window of eight limbs of the sum stays in registers. Each step adds one limb
//! times eight limbs to it, with one carry chain for the low halves of the products (ADCX, CF) and
//! one for the high halves (ADOX, OF), and hands out the lowest limb. The window's registers change
//! their roles from step to step instead of being moved. There is no branch on data, and no
//! address depends on data.
//!
//! A whole multiplication is one call. The code of the blocks is there once, as subroutines: it is
//! nearly all of the code, and in the SVSM's image each byte counts.

use core::arch::global_asm;

use zeroize::Zeroize;

/// Limbs in a block.
const BLOCK: usize = 8;
/// Limbs of the longest product: twice 64 limbs, for moduli of 4096 bits.
const PRODUCT_MAX: usize = 128;

global_asm!(
    // The eight instructions for the limbs at 0 to 56 bytes from a pointer.
    ".macro macadamia_load pointer",
    "  mov r8, [\\pointer]",
    "  mov r9, [\\pointer + 8]",
    "  mov r10, [\\pointer + 16]",
    "  mov r11, [\\pointer + 24]",
    "  mov r12, [\\pointer + 32]",
    "  mov r13, [\\pointer + 40]",
    "  mov r14, [\\pointer + 48]",
    "  mov r15, [\\pointer + 56]",
    ".endm",
    ".macro macadamia_store pointer",
    "  mov [\\pointer], r8",
    "  mov [\\pointer + 8], r9",
    "  mov [\\pointer + 16], r10",
    "  mov [\\pointer + 24], r11",
    "  mov [\\pointer + 32], r12",
    "  mov [\\pointer + 40], r13",
    "  mov [\\pointer + 48], r14",
    "  mov [\\pointer + 56], r15",
    ".endm",
    // rdx times the limbs from an offset on, each product onto two neighbours of these registers.
    ".macro macadamia_products offset, low, high, others:vararg",
    "  mulx rbp, rax, [rsi + \\offset]",
    "  adcx \\low, rax",
    "  adox \\high, rbp",
    "  .ifnb \\others",
    "    macadamia_products \\offset + 8, \\high, \\others",
    "  .endif",
    ".endm",
    // One step: the window w0..w7 += rdx * [rsi]; the new top limb takes the place of w0, whose
    // value is stored before (or, in a reduction, known to be zero).
    ".macro macadamia_step store, offset, w0, w1, w2, w3, w4, w5, w6, w7",
    "  xor eax, eax", // clears CF and OF
    "  mulx rbp, rax, [rsi]",
    "  adcx \\w0, rax",
    "  adox \\w1, rbp",
    "  .if \\store",
    "    mov [rdi + \\offset], \\w0",
    "  .endif",
    "  macadamia_products 8, \\w1, \\w2, \\w3, \\w4, \\w5, \\w6, \\w7",
    "  mulx \\w0, rax, [rsi + 56]",
    "  adox \\w0, [rsp + 8 + {ZERO}]",
    "  adcx \\w7, rax",
    // Nobody needs this product. But with it a multiplication takes 6 to 9 % less on Zen 4, and a
    // squaring 4 to 7 %, presumably as additions then wait less for the port of the multiplier.
    "  mulx rbp, rbp, rax",
    "  adcx \\w0, [rsp + 8 + {ZERO}]",
    ".endm",
    ".macro macadamia_multiply_step offset, window:vararg",
    "  mov rdx, [rbx + \\offset]",
    "  macadamia_step 1, \\offset, \\window",
    ".endm",
    // The multiplier is the limb of the quotient that makes w0 zero.
    ".macro macadamia_reduce_step offset, w0, window:vararg",
    "  mov rdx, \\w0",
    "  imul rdx, rcx",
    "  mov [rbx + \\offset], rdx",
    "  macadamia_step 0, 0, \\w0, \\window",
    ".endm",
    // Eight steps, with the registers' roles turning.
    ".macro macadamia_block kind",
    "  macadamia_\\kind\\()_step 0, r8, r9, r10, r11, r12, r13, r14, r15",
    "  macadamia_\\kind\\()_step 8, r9, r10, r11, r12, r13, r14, r15, r8",
    "  macadamia_\\kind\\()_step 16, r10, r11, r12, r13, r14, r15, r8, r9",
    "  macadamia_\\kind\\()_step 24, r11, r12, r13, r14, r15, r8, r9, r10",
    "  macadamia_\\kind\\()_step 32, r12, r13, r14, r15, r8, r9, r10, r11",
    "  macadamia_\\kind\\()_step 40, r13, r14, r15, r8, r9, r10, r11, r12",
    "  macadamia_\\kind\\()_step 48, r14, r15, r8, r9, r10, r11, r12, r13",
    "  macadamia_\\kind\\()_step 56, r15, r8, r9, r10, r11, r12, r13, r14",
    ".endm",
    // Of the products of different limbs of one block, each once, those of one limb with the limbs
    // above it. Position k of the sum is in register r(8 + k mod 8).
    ".macro macadamia_cross_row offset, top, low:vararg",
    "  mov rdx, [rsi + \\offset]",
    "  mov \\top, 0",
    "  xor eax, eax",
    "  macadamia_products \\offset + 8, \\low",
    "  adcx \\top, [rsp + 8 + {ZERO}]",
    ".endm",
    // Two limbs of the sum = twice themselves + the square of a limb.
    ".macro macadamia_square_step offset",
    "  mov rdx, [rsi + \\offset]",
    "  mulx rbp, rax, rdx",
    "  mov r8, [rdi + 2 * \\offset]",
    "  mov r9, [rdi + 2 * \\offset + 8]",
    "  adcx r8, r8",
    "  adox r8, rax",
    "  mov [rdi + 2 * \\offset], r8",
    "  adcx r9, r9",
    "  adox r9, rbp",
    "  mov [rdi + 2 * \\offset + 8], r9",
    ".endm",
    // A row of [rsp + {COUNT}] blocks onto the sum at rdi, the first of them of this kind.
    ".macro macadamia_row kind",
    "  macadamia_load rdi",
    "  mov qword ptr [rsp + {CARRY}], 0",
    "  call .Lmacadamia_\\kind\\()_block",
    "  jmp 3f",
    "2:",
    "  call .Lmacadamia_multiply_block",
    "3:",
    "  dec qword ptr [rsp + {COUNT}]",
    "  jnz 2b",
    "  macadamia_store rdi",
    ".endm",
    //
    ".pushsection .text.macadamia_montgomery, \"ax\", @progbits",
    // Blocks. Each takes the window, adds products to it, stores the lowest eight limbs of the sum
    // at rdi, and goes on to the next block there and at rsi: the window += [rdi + 64] + the carry
    // in the frame, which is replaced. The return address is below the frame.
    ".p2align 6",
    ".Lmacadamia_reduce_block:", // rbx quotient, written; the lowest eight limbs are not stored
    "  mov rcx, [rsp + 8 + {INVERSE}]",
    "  macadamia_block reduce",
    "  jmp 2f",
    ".p2align 6",
    ".Lmacadamia_cross_block:",
    "  mov [rdi], r8",
    "  macadamia_cross_row 0, r8, r9, r10, r11, r12, r13, r14, r15, r8",
    "  mov [rdi + 8], r9",
    "  mov [rdi + 16], r10",
    "  macadamia_cross_row 8, r9, r11, r12, r13, r14, r15, r8, r9",
    "  mov [rdi + 24], r11",
    "  mov [rdi + 32], r12",
    "  macadamia_cross_row 16, r10, r13, r14, r15, r8, r9, r10",
    "  mov [rdi + 40], r13",
    "  mov [rdi + 48], r14",
    "  macadamia_cross_row 24, r11, r15, r8, r9, r10, r11",
    "  mov [rdi + 56], r15",
    "  macadamia_cross_row 32, r12, r9, r10, r11, r12",
    "  macadamia_cross_row 40, r13, r11, r12, r13",
    "  macadamia_cross_row 48, r14, r13, r14",
    "  xor r15d, r15d",
    "  jmp 2f",
    ".p2align 6",
    ".Lmacadamia_multiply_block:", // rbx the block of the other factor
    "  macadamia_block multiply",
    "2:",
    "  mov rax, [rsp + 8 + {CARRY}]",
    "  neg rax", // CF = carry
    "  adc r8, [rdi + 64]",
    "  adc r9, [rdi + 72]",
    "  adc r10, [rdi + 80]",
    "  adc r11, [rdi + 88]",
    "  adc r12, [rdi + 96]",
    "  adc r13, [rdi + 104]",
    "  adc r14, [rdi + 112]",
    "  adc r15, [rdi + 120]",
    "  setc al",
    "  movzx eax, al",
    "  mov [rsp + 8 + {CARRY}], rax",
    "  add rdi, 64",
    "  add rsi, 64",
    "  ret",
    //
    ".p2align 6",
    ".hidden macadamia_multiply",
    ".globl macadamia_multiply",
    "macadamia_multiply:", // rdi, rsi, rdx, rcx, r8, r9, [rsp + 8]: as declared below
    "  mov rax, [rsp + 8]",
    "  jmp 2f",
    ".hidden macadamia_square",
    ".globl macadamia_square",
    "macadamia_square:", // rdi, rsi, rdx, rcx, r8, r9: as declared below
    "  xor eax, eax",
    "2:",
    "  push rbx",
    "  push rbp",
    "  push r12",
    "  push r13",
    "  push r14",
    "  push r15",
    "  sub rsp, {FRAME}",
    "  mov [rsp + {PRODUCT}], rdi",
    "  mov [rsp + {SUM}], rdi",
    "  mov [rsp + {RESULT}], rsi",
    "  mov [rsp + {MODULUS}], rdx",
    "  mov [rsp + {INVERSE}], rcx",
    "  mov [rsp + {BLOCKS}], r8",
    "  mov [rsp + {ROWS}], r8",
    "  mov [rsp + {FACTOR}], r9",
    "  mov rbx, rax",
    "  xor eax, eax",
    "  mov [rsp + {ZERO}], rax",
    // The product = 0.
    "4:",
    "  .irp offset, 0, 8, 16, 24, 32, 40, 48, 56, 64, 72, 80, 88, 96, 104, 112, 120",
    "    mov [rdi + \\offset], rax",
    "  .endr",
    "  sub rdi, -128",
    "  dec r8",
    "  jnz 4b",
    "  test rbx, rbx",
    "  jz 5f",
    // The product += each block of b times all of a.
    "4:",
    "  mov rdi, [rsp + {SUM}]",
    "  add qword ptr [rsp + {SUM}], 64",
    "  mov rsi, [rsp + {FACTOR}]",
    "  mov rax, [rsp + {BLOCKS}]",
    "  mov [rsp + {COUNT}], rax",
    "  macadamia_row multiply",
    "  add rbx, 64",
    "  dec qword ptr [rsp + {ROWS}]",
    "  jnz 4b",
    "  jmp 7f",
    // The product += the cross products of each block of a and its products with those above it.
    "5:",
    "  mov rbx, r9",
    "4:",
    "  mov rdi, [rsp + {SUM}]",
    "  sub qword ptr [rsp + {SUM}], -128",
    "  mov rsi, rbx",
    "  mov rax, [rsp + {ROWS}]",
    "  mov [rsp + {COUNT}], rax",
    "  macadamia_row cross",
    "  add rbx, 64",
    "  dec qword ptr [rsp + {ROWS}]",
    "  jnz 4b",
    // Twice the product + the squares of the limbs.
    "  mov rdi, [rsp + {PRODUCT}]",
    "  mov rsi, [rsp + {FACTOR}]",
    "  mov rcx, [rsp + {BLOCKS}]",
    "  xor eax, eax", // clears CF and OF, which both live through the loop
    "4:",
    "  .irp offset, 0, 8, 16, 24, 32, 40, 48, 56",
    "    macadamia_square_step \\offset",
    "  .endr",
    "  lea rdi, [rdi + 128]",
    "  lea rsi, [rsi + 64]",
    "  lea rcx, [rcx - 1]",
    "  jrcxz 7f",
    "  jmp 4b",
    // The product += multiples of the modulus. A block of it that becomes zero is room for the
    // block of the quotient that makes it so, and then for the carry out of the row. That carry
    // belongs to the block above the row, where the next row ends. No quotient depends on it, so
    // it waits until the end.
    "7:",
    "  mov rax, [rsp + {PRODUCT}]",
    "  mov [rsp + {SUM}], rax",
    "  mov rcx, [rsp + {BLOCKS}]",
    "  mov [rsp + {ROWS}], rcx",
    "4:",
    "  mov rdi, [rsp + {SUM}]",
    "  mov rbx, rdi",
    "  add qword ptr [rsp + {SUM}], 64",
    "  mov rsi, [rsp + {MODULUS}]",
    "  mov rax, [rsp + {BLOCKS}]",
    "  mov [rsp + {COUNT}], rax",
    "  macadamia_row reduce",
    "  mov rax, [rsp + {CARRY}]",
    "  mov [rbx], rax",
    "  dec qword ptr [rsp + {ROWS}]",
    "  jnz 4b",
    // The upper half += the carries, and the result = the upper half - the modulus.
    "  mov rdi, [rsp + {SUM}]",
    "  mov rdx, [rsp + {RESULT}]",
    "  mov rsi, [rsp + {MODULUS}]",
    "  mov rbx, [rsp + {PRODUCT}]",
    "  mov rcx, [rsp + {BLOCKS}]",
    "  xor eax, eax", // what is to be added to the block: 0 to 2
    "  xor ebp, ebp", // 0 or -1: the borrow
    "4:",
    "  macadamia_load rdi",
    "  add r8, rax",
    "  .irp limb, r9, r10, r11, r12, r13, r14, r15",
    "    adc \\limb, 0",
    "  .endr",
    "  macadamia_store rdi",
    "  setc al",
    "  movzx eax, al",
    "  add rax, [rbx]",
    "  neg rbp", // CF = borrow
    "  sbb r8, [rsi]",
    "  sbb r9, [rsi + 8]",
    "  sbb r10, [rsi + 16]",
    "  sbb r11, [rsi + 24]",
    "  sbb r12, [rsi + 32]",
    "  sbb r13, [rsi + 40]",
    "  sbb r14, [rsi + 48]",
    "  sbb r15, [rsi + 56]",
    "  sbb rbp, rbp",
    "  macadamia_store rdx",
    "  add rbx, 64",
    "  add rsi, 64",
    "  add rdi, 64",
    "  add rdx, 64",
    "  dec rcx",
    "  jnz 4b",
    // The upper half itself, if it and the last carry are less than the modulus.
    "  neg rbp",
    "  sub rax, rbp", // CF, which lives through the loop
    "  mov rdi, [rsp + {SUM}]",
    "  mov rdx, [rsp + {RESULT}]",
    "  mov rcx, [rsp + {BLOCKS}]",
    "4:",
    "  .irp offset, 0, 8, 16, 24, 32, 40, 48, 56",
    "    mov rax, [rdx + \\offset]",
    "    cmovc rax, [rdi + \\offset]",
    "    mov [rdx + \\offset], rax",
    "  .endr",
    "  lea rdi, [rdi + 64]",
    "  lea rdx, [rdx + 64]",
    "  dec rcx", // keeps CF
    "  jnz 4b",
    "  add rsp, {FRAME}",
    "  pop r15",
    "  pop r14",
    "  pop r13",
    "  pop r12",
    "  pop rbp",
    "  pop rbx",
    "  ret",
    ".popsection",
    ".irp name, load, store, products, step, multiply_step, reduce_step, block, row",
    "  .purgem macadamia_\\name",
    ".endr",
    ".irp name, cross_row, square_step",
    "  .purgem macadamia_\\name",
    ".endr",
    // The frame: what is where, in bytes from rsp.
    CARRY = const 0, // out of the last block of a row
    COUNT = const 8, // blocks left in a row
    ROWS = const 16, // rows left
    SUM = const 24, // where the next row begins
    PRODUCT = const 32,
    RESULT = const 40,
    MODULUS = const 48,
    INVERSE = const 56,
    BLOCKS = const 64,
    FACTOR = const 72,
    ZERO = const 80,
    FRAME = const 88,
);

unsafe extern "sysv64" {
    /// `result` = `a` · `b` / 2^(512·`blocks`) modulo the modulus, less than it. `result`,
    /// `modulus`, `a` and `b` have 8·`blocks` limbs, `product` has twice as many, `blocks` > 0;
    /// `a` · `b` is less than 2^(512·`blocks`) times the modulus, and the modulus times
    /// -`negative_inverse` is 1 modulo 2^64. Overwrites `product`; `result` is written when the
    /// others have been read, except `modulus`, and may be one of them. Needs BMI2 and ADX.
    fn macadamia_multiply(
        product: *mut u64,
        result: *mut u64,
        modulus: *const u64,
        negative_inverse: u64,
        blocks: usize,
        a: *const u64,
        b: *const u64,
    );
    /// The same for `a` · `a`.
    fn macadamia_square(
        product: *mut u64,
        result: *mut u64,
        modulus: *const u64,
        negative_inverse: u64,
        blocks: usize,
        a: *const u64,
    );
}

/// Proof that the processor has BMI2 and ADX. Their instructions use general registers only, so
/// nothing else has to be switched on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Adx(());

impl Adx {
    /// The proof, if the processor has both.
    pub(super) fn detect() -> Option<Self> {
        /// CPUID leaf 7, register EBX.
        const BMI2: u32 = 1 << 8;
        const ADX: u32 = 1 << 19;
        let features = if core::arch::x86_64::__cpuid(0).eax < 7 {
            0
        } else {
            core::arch::x86_64::__cpuid_count(7, 0).ebx
        };
        (features & BMI2 != 0 && features & ADX != 0).then_some(Self(()))
    }

    /// a = a · b / 2^(64·N) modulo the modulus, less than it, for a and b less than it, or for one
    /// of them any number. `negative_inverse` is -1/modulus modulo 2^64.
    pub(super) fn multiply<const N: usize>(
        self,
        workspace: &mut Workspace,
        modulus: &[u64; N],
        negative_inverse: u64,
        a: &mut [u64; N],
        b: &[u64; N],
    ) {
        let product = workspace.product::<N>().as_mut_ptr();
        let (modulus, a, b) = (modulus.as_ptr(), a.as_mut_ptr(), b.as_ptr());
        // SAFETY: the product has 2·N limbs and all others have N, which is a multiple of a
        // block's limbs, and not zero, as `product` asserts. `self` proves that the processor has
        // the instructions. Numbers that are not as they should be make the result wrong, no more.
        unsafe { macadamia_multiply(product, a, modulus, negative_inverse, N / BLOCK, a, b) };
    }

    /// a = a² / 2^(64·N) modulo the modulus, less than it, for a less than it: the products of
    /// different limbs once, doubled, and the squares of the limbs.
    pub(super) fn square<const N: usize>(
        self,
        workspace: &mut Workspace,
        modulus: &[u64; N],
        negative_inverse: u64,
        a: &mut [u64; N],
    ) {
        let product = workspace.product::<N>().as_mut_ptr();
        let (modulus, a) = (modulus.as_ptr(), a.as_mut_ptr());
        // SAFETY: as for `multiply`.
        unsafe { macadamia_square(product, a, modulus, negative_inverse, N / BLOCK, a) };
    }
}

/// Room for a product in the making; wiped on drop, as it may be made of secrets.
pub(super) struct Workspace([u64; PRODUCT_MAX]);

impl Workspace {
    pub(super) fn new() -> Self {
        Self([0; PRODUCT_MAX])
    }

    /// Room for a product of two numbers of `N` limbs, with anything in it.
    fn product<const N: usize>(&mut self) -> &mut [u64] {
        const { assert!(N.is_multiple_of(BLOCK) && N > 0 && 2 * N <= PRODUCT_MAX) };
        self.0.split_at_mut(2 * N).0
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
