// SPDX-License-Identifier: MIT OR Apache-2.0
//! Montgomery arithmetic with the instructions MULX (BMI2), ADCX and ADOX (ADX).
//!
//! Numbers are cut into blocks of eight limbs. The routines in assembly multiply a row of blocks by
//! one block; the loops over rows are Rust, which weighs little against 64 multiplications a block.
//!
//! Within a row of blocks a window of eight limbs stays in registers. Each step adds one limb times
//! eight limbs to it, with one carry chain for the low halves of the products (ADCX, CF) and one
//! for the high halves (ADOX, OF), and hands out the lowest limb. The window's registers change
//! their roles from step to step instead of being moved. There is no branch on data, and no
//! address depends on data.

use core::arch::global_asm;

use zeroize::Zeroize;

use super::limbs::subtract_once;

/// Limbs in a block.
const BLOCK: usize = 8;
/// Limbs of the longest product: twice 64 limbs, for moduli of 4096 bits.
const PRODUCT_MAX: usize = 128;

global_asm!(
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
    "  mulx rbp, rax, [rsi + 8]",
    "  adcx \\w1, rax",
    "  adox \\w2, rbp",
    "  mulx rbp, rax, [rsi + 16]",
    "  adcx \\w2, rax",
    "  adox \\w3, rbp",
    "  mulx rbp, rax, [rsi + 24]",
    "  adcx \\w3, rax",
    "  adox \\w4, rbp",
    "  mulx rbp, rax, [rsi + 32]",
    "  adcx \\w4, rax",
    "  adox \\w5, rbp",
    "  mulx rbp, rax, [rsi + 40]",
    "  adcx \\w5, rax",
    "  adox \\w6, rbp",
    "  mulx rbp, rax, [rsi + 48]",
    "  adcx \\w6, rax",
    "  adox \\w7, rbp",
    "  mulx \\w0, rax, [rsi + 56]",
    "  adcx \\w7, rax",
    "  mov eax, 0", // keeps the flags
    "  adox \\w0, rax",
    "  adcx \\w0, rax",
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
    // Eight steps, with the registers' roles turning, then the next block of the sum: the window
    // += [rdi + 64] + the carry at [rsp], which is replaced.
    ".macro macadamia_block kind",
    "  macadamia_\\kind\\()_step 0, r8, r9, r10, r11, r12, r13, r14, r15",
    "  macadamia_\\kind\\()_step 8, r9, r10, r11, r12, r13, r14, r15, r8",
    "  macadamia_\\kind\\()_step 16, r10, r11, r12, r13, r14, r15, r8, r9",
    "  macadamia_\\kind\\()_step 24, r11, r12, r13, r14, r15, r8, r9, r10",
    "  macadamia_\\kind\\()_step 32, r12, r13, r14, r15, r8, r9, r10, r11",
    "  macadamia_\\kind\\()_step 40, r13, r14, r15, r8, r9, r10, r11, r12",
    "  macadamia_\\kind\\()_step 48, r14, r15, r8, r9, r10, r11, r12, r13",
    "  macadamia_\\kind\\()_step 56, r15, r8, r9, r10, r11, r12, r13, r14",
    "  mov rax, [rsp]",
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
    "  mov [rsp], rax",
    "  add rdi, 64",
    "  add rsi, 64",
    ".endm",
    ".macro macadamia_enter",
    "  push rbx",
    "  push rbp",
    "  push r12",
    "  push r13",
    "  push r14",
    "  push r15",
    ".endm",
    ".macro macadamia_leave",
    "  pop r15",
    "  pop r14",
    "  pop r13",
    "  pop r12",
    "  pop rbp",
    "  pop rbx",
    "  ret",
    ".endm",
    ".macro macadamia_load_window",
    "  mov r8, [rdi]",
    "  mov r9, [rdi + 8]",
    "  mov r10, [rdi + 16]",
    "  mov r11, [rdi + 24]",
    "  mov r12, [rdi + 32]",
    "  mov r13, [rdi + 40]",
    "  mov r14, [rdi + 48]",
    "  mov r15, [rdi + 56]",
    ".endm",
    // Stores the window, returns the carry.
    ".macro macadamia_finish_row",
    "  mov [rdi], r8",
    "  mov [rdi + 8], r9",
    "  mov [rdi + 16], r10",
    "  mov [rdi + 24], r11",
    "  mov [rdi + 32], r12",
    "  mov [rdi + 40], r13",
    "  mov [rdi + 48], r14",
    "  mov [rdi + 56], r15",
    "  pop rax",
    "  macadamia_leave",
    ".endm",
    // The products of different limbs of one block, each once: row i adds limb i times the limbs
    // above it. Position k of the result is in register r(8 + k mod 8).
    ".macro macadamia_cross_begin offset, top",
    "  mov rdx, [rsi + \\offset]",
    "  mov \\top, 0",
    "  xor eax, eax",
    ".endm",
    ".macro macadamia_cross_step offset, low, high",
    "  mulx rbp, rax, [rsi + \\offset]",
    "  adcx \\low, rax",
    "  adox \\high, rbp",
    ".endm",
    ".macro macadamia_cross_end top, first_offset, first, second_offset, second",
    "  mov eax, 0",
    "  adcx \\top, rax",
    "  mov [rdi + \\first_offset], \\first",
    "  mov [rdi + \\second_offset], \\second",
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
    //
    ".pushsection .text.macadamia_montgomery, \"ax\", @progbits",
    ".p2align 6",
    ".hidden macadamia_multiply_row",
    ".globl macadamia_multiply_row",
    "macadamia_multiply_row:", // rdi sum, rsi a, rdx b, rcx count
    "  macadamia_enter",
    "  mov rbx, rdx",
    "  push 0",
    "  macadamia_load_window",
    "2:",
    "  macadamia_block multiply",
    "  dec rcx",
    "  jnz 2b",
    "  macadamia_finish_row",
    ".p2align 6",
    ".hidden macadamia_reduce_row",
    ".globl macadamia_reduce_row",
    "macadamia_reduce_row:", // rdi sum, rsi modulus, rdx quotient, rcx -1/modulus, r8 count
    "  macadamia_enter",
    "  mov rbx, rdx",
    "  push r8",
    "  push 0",
    "  macadamia_load_window",
    "  macadamia_block reduce",
    "  mov rcx, [rsp + 8]",
    "2:",
    "  dec rcx",
    "  jz 3f",
    "  macadamia_block multiply",
    "  jmp 2b",
    "3:",
    "  pop rax",
    "  mov [rsp], rax",
    "  macadamia_finish_row",
    ".p2align 6",
    ".hidden macadamia_cross_block",
    ".globl macadamia_cross_block",
    "macadamia_cross_block:", // rdi result, rsi a
    "  macadamia_enter",
    "  xor r9d, r9d",
    "  xor r10d, r10d",
    "  xor r11d, r11d",
    "  xor r12d, r12d",
    "  xor r13d, r13d",
    "  xor r14d, r14d",
    "  xor r15d, r15d",
    "  mov [rdi], r9",
    "  mov [rdi + 120], r9",
    "  macadamia_cross_begin 0, r8",
    "  macadamia_cross_step 8, r9, r10",
    "  macadamia_cross_step 16, r10, r11",
    "  macadamia_cross_step 24, r11, r12",
    "  macadamia_cross_step 32, r12, r13",
    "  macadamia_cross_step 40, r13, r14",
    "  macadamia_cross_step 48, r14, r15",
    "  macadamia_cross_step 56, r15, r8",
    "  macadamia_cross_end r8, 8, r9, 16, r10",
    "  macadamia_cross_begin 8, r9",
    "  macadamia_cross_step 16, r11, r12",
    "  macadamia_cross_step 24, r12, r13",
    "  macadamia_cross_step 32, r13, r14",
    "  macadamia_cross_step 40, r14, r15",
    "  macadamia_cross_step 48, r15, r8",
    "  macadamia_cross_step 56, r8, r9",
    "  macadamia_cross_end r9, 24, r11, 32, r12",
    "  macadamia_cross_begin 16, r10",
    "  macadamia_cross_step 24, r13, r14",
    "  macadamia_cross_step 32, r14, r15",
    "  macadamia_cross_step 40, r15, r8",
    "  macadamia_cross_step 48, r8, r9",
    "  macadamia_cross_step 56, r9, r10",
    "  macadamia_cross_end r10, 40, r13, 48, r14",
    "  macadamia_cross_begin 24, r11",
    "  macadamia_cross_step 32, r15, r8",
    "  macadamia_cross_step 40, r8, r9",
    "  macadamia_cross_step 48, r9, r10",
    "  macadamia_cross_step 56, r10, r11",
    "  macadamia_cross_end r11, 56, r15, 64, r8",
    "  macadamia_cross_begin 32, r12",
    "  macadamia_cross_step 40, r9, r10",
    "  macadamia_cross_step 48, r10, r11",
    "  macadamia_cross_step 56, r11, r12",
    "  macadamia_cross_end r12, 72, r9, 80, r10",
    "  macadamia_cross_begin 40, r13",
    "  macadamia_cross_step 48, r11, r12",
    "  macadamia_cross_step 56, r12, r13",
    "  macadamia_cross_end r13, 88, r11, 96, r12",
    "  macadamia_cross_begin 48, r14",
    "  macadamia_cross_step 56, r13, r14",
    "  macadamia_cross_end r14, 104, r13, 112, r14",
    "  macadamia_leave",
    ".p2align 6",
    ".hidden macadamia_double_and_square",
    ".globl macadamia_double_and_square",
    "macadamia_double_and_square:", // rdi sum, rsi a, rdx count
    "  push rbp",
    "  mov rcx, rdx",
    "  xor eax, eax", // clears CF and OF, which both live through the loop
    "2:",
    "  .irp offset, 0, 8, 16, 24, 32, 40, 48, 56",
    "    macadamia_square_step \\offset",
    "  .endr",
    "  lea rdi, [rdi + 128]",
    "  lea rsi, [rsi + 64]",
    "  lea rcx, [rcx - 1]",
    "  jrcxz 3f",
    "  jmp 2b",
    "3:",
    "  pop rbp",
    "  ret",
    ".popsection",
    ".irp name, step, multiply_step, reduce_step, block, enter, leave, load_window, finish_row",
    "  .purgem macadamia_\\name",
    ".endr",
    ".irp name, cross_begin, cross_step, cross_end, square_step",
    "  .purgem macadamia_\\name",
    ".endr",
);

unsafe extern "sysv64" {
    /// `sum` (8·`count` + 8 limbs) += `a` (8·`count` limbs) · `b` (8 limbs), `count` > 0; returns
    /// the carry out. Needs BMI2 and ADX.
    fn macadamia_multiply_row(sum: *mut u64, a: *const u64, b: *const u64, count: usize) -> u64;
    /// `sum` (8·`count` + 8 limbs) += `quotient` · `modulus` (8·`count` limbs), `count` > 0, with
    /// the quotient (8 limbs, written) that makes the low 8 limbs of the sum zero; these are not
    /// written. Returns the carry out. Needs BMI2 and ADX.
    fn macadamia_reduce_row(
        sum: *mut u64,
        modulus: *const u64,
        quotient: *mut u64,
        negative_inverse: u64,
        count: usize,
    ) -> u64;
    /// `result` (16 limbs) = the products of different limbs of `a` (8 limbs), each once. Needs
    /// BMI2 and ADX.
    fn macadamia_cross_block(result: *mut u64, a: *const u64);
    /// `sum` (16·`count` limbs) = 2·`sum` + the squares of the limbs of `a` (8·`count` limbs),
    /// `count` > 0, modulo the sum's length. Needs BMI2 and ADX.
    fn macadamia_double_and_square(sum: *mut u64, a: *const u64, count: usize);
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

    /// The blocks of `sum` from `place` on += `a` · `b`; returns the carry out of the blocks that
    /// the product covers.
    fn multiply_row(self, sum: &mut [Block], place: usize, a: &[Block], b: &Block) -> u64 {
        match sum.get_mut(place..=place + a.len()) {
            Some(sum) if !a.is_empty() => {
                let (sum, a_limbs) = (sum.as_flattened_mut(), a.as_flattened());
                // SAFETY: `sum` has one block more than `a`, which has at least one, `b` is one;
                // `self` proves that the processor has the instructions.
                unsafe {
                    macadamia_multiply_row(sum.as_mut_ptr(), a_limbs.as_ptr(), b.as_ptr(), a.len())
                }
            }
            _ => 0,
        }
    }

    /// The blocks of `sum` from `place` on += a multiple of `modulus` that makes the first one
    /// zero (it is not written); returns the carry out of the blocks that the multiple covers.
    fn reduce_row(
        self,
        sum: &mut [Block],
        place: usize,
        modulus: &[Block],
        negative_inverse: u64,
    ) -> u64 {
        let mut quotient = [0; BLOCK];
        match sum.get_mut(place..=place + modulus.len()) {
            Some(sum) if !modulus.is_empty() => {
                let (sum, limbs) = (sum.as_flattened_mut(), modulus.as_flattened());
                // SAFETY: `sum` has one block more than `modulus`, which has at least one, the
                // quotient is one; `self` proves that the processor has the instructions.
                unsafe {
                    macadamia_reduce_row(
                        sum.as_mut_ptr(),
                        limbs.as_ptr(),
                        quotient.as_mut_ptr(),
                        negative_inverse,
                        modulus.len(),
                    )
                }
            }
            _ => 0,
        }
    }

    fn cross_block(self, result: &mut [Block; 2], a: &Block) {
        let result = result.as_flattened_mut();
        // SAFETY: `result` is two blocks and `a` is one; `self` proves that the processor has the
        // instructions.
        unsafe { macadamia_cross_block(result.as_mut_ptr(), a.as_ptr()) }
    }

    fn double_and_square(self, sum: &mut [[Block; 2]], a: &[Block]) {
        if !a.is_empty() && sum.len() == a.len() {
            let sum = sum.as_flattened_mut().as_flattened_mut();
            // SAFETY: `sum` has two blocks for each of `a`, which has at least one; `self` proves
            // that the processor has the instructions.
            unsafe {
                macadamia_double_and_square(sum.as_mut_ptr(), a.as_flattened().as_ptr(), a.len());
            }
        }
    }
}

type Block = [u64; BLOCK];

impl Adx {
    /// a · b / 2^(64·N) modulo the modulus, less than it, for a and b less than it, or for one of
    /// them any number. `negative_inverse` is -1/modulus modulo 2^64.
    pub(super) fn multiply<const N: usize>(
        self,
        workspace: &mut Workspace,
        modulus: &[u64; N],
        negative_inverse: u64,
        a: &[u64; N],
        b: &[u64; N],
    ) -> [u64; N] {
        let product = workspace.product::<N>();
        product.as_flattened_mut().fill(0);
        for (row, block) in b.as_chunks::<BLOCK>().0.iter().enumerate() {
            // The rows so far are less than what their blocks hold: there is no carry.
            let _zero = self.multiply_row(product, row, a.as_chunks::<BLOCK>().0, block);
        }
        self.reduce(product, modulus, negative_inverse)
    }

    /// a² / 2^(64·N) modulo the modulus, less than it, for a less than it: the products of
    /// different limbs once, doubled, and the squares of the limbs.
    pub(super) fn square<const N: usize>(
        self,
        workspace: &mut Workspace,
        modulus: &[u64; N],
        negative_inverse: u64,
        a: &[u64; N],
    ) -> [u64; N] {
        let product = workspace.product::<N>();
        let blocks = a.as_chunks::<BLOCK>().0;
        for (pair, block) in product.as_chunks_mut::<2>().0.iter_mut().zip(blocks) {
            self.cross_block(pair, block);
        }
        for (row, block) in blocks.iter().enumerate() {
            let others = blocks.get(row + 1..).unwrap_or_default();
            let mut carry = self.multiply_row(product, 2 * row + 1, others, block);
            let above = product.iter_mut().skip(row + 1 + blocks.len());
            for limb in above.flatten() {
                let out;
                (*limb, out) = limb.overflowing_add(carry);
                carry = u64::from(out);
            }
        }
        self.double_and_square(product.as_chunks_mut::<2>().0, blocks);
        self.reduce(product, modulus, negative_inverse)
    }

    /// (`product` + q · modulus) / 2^(64·N), with the q that makes the division exact, less than
    /// the modulus.
    fn reduce<const N: usize>(
        self,
        product: &mut [Block],
        modulus: &[u64; N],
        negative_inverse: u64,
    ) -> [u64; N] {
        let blocks = modulus.as_chunks::<BLOCK>().0;
        // The carry out of a row belongs to the block that is above the row, where the next row
        // ends. No quotient depends on it, so it waits until the end.
        let mut result = [0; N];
        let mut last_carry = 0;
        for row in 0..blocks.len() {
            let carry = self.reduce_row(product, row, blocks, negative_inverse);
            match result.get_mut(BLOCK * (row + 1)) {
                Some(place) => *place = carry,
                None => last_carry = carry,
            }
        }
        let mut carry = false;
        for (place, high) in result.iter_mut().zip(product.as_flattened().iter().skip(N)) {
            (*place, carry) = place.carrying_add(*high, carry);
        }
        subtract_once(&result, last_carry + u64::from(carry), modulus)
    }
}

/// Room for a product in the making; wiped on drop, as it may be made of secrets.
pub(super) struct Workspace([u64; PRODUCT_MAX]);

impl Workspace {
    pub(super) fn new() -> Self {
        Self([0; PRODUCT_MAX])
    }

    /// Room for a product of two numbers of `N` limbs, with anything in it.
    fn product<const N: usize>(&mut self) -> &mut [Block] {
        const { assert!(N.is_multiple_of(BLOCK) && N > 0 && 2 * N <= PRODUCT_MAX) };
        self.0.split_at_mut(2 * N).0.as_chunks_mut().0
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}
